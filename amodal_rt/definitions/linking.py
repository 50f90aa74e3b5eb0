"""Link an account to a member in `identities.json`, and leave the rest of it as it is."""

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from amodal_rt.definitions import editing
from amodal_rt.definitions.accounts import check_account
from amodal_rt.definitions.identities import parse_identities
from amodal_rt.definitions.positions import Offsets
from amodal_rt.definitions.source import decode
from amodal_rt.definitions.words import suggestion
from amodal_rt.domain.identity import Identities, comparable
from amodal_rt.errors import ConflictError, InvalidError, NotFoundError

_BOM = "\ufeff"
_FILE = "identities.json"
_NEW = b'{\n  "members": [\n  ]\n}\n'


def link(text: bytes | None, member: str, account: str) -> bytes:
    """The file with `account` (`github:octocat`) as the member's.

    `text` None means that there is no file. The very same bytes when it is theirs already.
    Raises InvalidError for a file or an account that is none, NotFoundError
    (`member_not_found`), ConflictError (`account_taken`).
    """
    check_account(account)
    known = _read(text)
    if member not in known.members:
        hint = suggestion(member, known.members) or "--create makes a new member"
        message = f"no member has the id {member!r}"
        raise NotFoundError(message, code="member_not_found", hint=hint)
    assert text is not None
    owner = known.owners.get(comparable(account))
    if owner == member:
        return text
    _require_free(account, owner)
    return _changed(text, lambda content: _with_account(content, member, account))


def link_new(text: bytes | None, member: str, account: str) -> bytes:
    """As `link`, for a member that is not there yet; one that is there is taken as it is."""
    check_account(account)
    known = _read(text)
    if member in known.members:
        return link(text, member, account)
    _require_free(account, known.owners.get(comparable(account)))
    provider, _, subject = account.partition(":")
    fresh = {"id": member, "accounts": {provider: [subject]}}
    return _changed(text or _NEW, lambda content: _with_member(content, fresh))


def unlink(text: bytes | None, account: str) -> tuple[bytes, str]:
    """The file without the account, and whose it was.

    Raises InvalidError, or NotFoundError (`account_not_found`).
    """
    check_account(account)
    known = _read(text)
    owner = known.owners.get(comparable(account))
    if owner is None or text is None:
        message = f"{account} is linked to nobody"
        raise NotFoundError(
            message, code="account_not_found", hint="ops identities list shows all accounts"
        )
    return _changed(text, lambda content: _without_account(content, account)), owner


def _read(text: bytes | None) -> Identities:
    if text is None:
        return Identities()
    found, problems = parse_identities(text, _FILE)
    if found is None:
        problem = problems[0]
        raise InvalidError(problem.sentence(), code=problem.code, hint=problem.hint)
    return found


def _require_free(account: str, owner: str | None) -> None:
    if owner is not None:
        provider, _, subject = account.partition(":")
        raise ConflictError(
            f"{account} belongs to {owner!r}",
            code="account_taken",
            hint=f"first: ops identities unlink {provider} {subject}",
        )


def _changed(text: bytes, edit: Callable[[str], str]) -> bytes:
    bom = _BOM if text.startswith(_BOM.encode()) else ""
    changed = (bom + edit(decode(text, _FILE))).encode()
    # Whatever the edit did, nobody is left with a file that says nothing.
    _read(changed)
    return changed


def _with_member(content: str, fresh: Mapping[str, object]) -> str:
    begin, end = Offsets(content).values["/members"]
    space = content[begin + 1 : end - 1]
    if _members(content) or "\n" not in space:
        return editing.add(content, "/members", fresh)
    # The first one gives those that follow their indentation.
    written = json.dumps(fresh, ensure_ascii=False)
    return f"{content[: begin + 1]}{space}  {written}{space}{content[end - 1 :]}"


def _with_account(content: str, member: str, account: str) -> str:
    provider, _, subject = account.partition(":")
    members = _members(content)
    place = next(place for place, each in enumerate(members) if each["id"] == member)
    pointer = f"/members/{place}"
    accounts = cast("dict[str, Any] | None", members[place].get("accounts"))
    if accounts is None:
        return editing.add(content, pointer, {provider: [subject]}, key="accounts")
    pointer = f"{pointer}/accounts"
    if provider not in accounts:
        return editing.add(content, pointer, [subject], key=provider)
    pointer = editing.under(pointer, provider)
    if isinstance(accounts[provider], str):
        return editing.replace(content, pointer, [accounts[provider], subject])
    return editing.add(content, pointer, subject)


def _without_account(content: str, account: str) -> str:
    """Every spelling of it goes: the provider knows no difference."""
    while True:
        pointer = _find(content, account)
        if pointer is None:
            return content
        content = editing.remove(content, pointer)


def _find(content: str, account: str) -> str | None:
    wanted = comparable(account)
    for place, member in enumerate(_members(content)):
        accounts = cast("dict[str, Any]", member.get("accounts") or {})
        for provider, subjects in accounts.items():
            pointer = editing.under(f"/members/{place}/accounts", provider)
            listed = cast("list[str]", [subjects] if isinstance(subjects, str) else subjects)
            for index, subject in enumerate(listed):
                if comparable(f"{provider}:{subject}") == wanted:
                    return pointer if len(listed) == 1 else f"{pointer}/{index}"
    return None


def _members(content: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", json.loads(content)["members"])
