"""`ops events types …` and `ops identities …`."""

import json

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.verbs.door import Document, Door, wanted
from amodal_rt.errors import UnavailableError

_TYPES = ("Type", "Origin", "Source", "Description")
_MEMBERS = ("Member", "Name", "Email", "Accounts")


def list_types(door: Door, *, fitting: str | None, source: str | None) -> int:
    """The types of event; without a daemon, those that are built in."""
    params = wanted(fitting=fitting, source=source)
    rows: list[Document]
    try:
        rows = door.daemon.get("/v1/events/types", params)
    except UnavailableError as error:
        _require_unreachable(error)
        from amodal_rt.definitions.catalogue import BUILT_IN
        from amodal_rt.operations.catalogue import listed

        rows = listed(BUILT_IN, fitting=fitting, source=source)
        door.output.remark(f"{error.message}; these are the built-in types alone")
    return door.output.rows(
        rows,
        _TYPES,
        lambda row: (row["type"], row["origin"], row["source"], row["description"]),
        empty="No such type of event.",
    )


def show_type(door: Door, name: str) -> int:
    """One type with its schema and a sample; without a daemon, one that is built in."""
    try:
        found = door.daemon.get(f"/v1/events/types/{name}")
    except UnavailableError as error:
        _require_unreachable(error)
        from amodal_rt.definitions.catalogue import BUILT_IN
        from amodal_rt.operations.catalogue import whole

        door.output.remark(f"{error.message}; only the built-in types are known")
        found = whole(name, BUILT_IN)
    if door.output.as_json:
        door.output.document(found)
        return codes.OK
    where = found.get("alias_of") or found["source"]
    door.output.say(f"{found['type']} ({found['origin']}: {where})")
    door.output.say(str(found["description"]))
    for head, key in (("Sample", "sample"), ("Schema", "schema")):
        door.output.say("")
        door.output.say(f"{head}:")
        door.output.say(json.dumps(found[key], indent=2))
    return codes.OK


def list_members(door: Door) -> int:
    """The members of `identities.json`."""
    rows = door.daemon.get("/v1/identities")
    return door.output.rows(
        rows,
        _MEMBERS,
        lambda row: (row["id"], table.text(row["name"]), table.text(row["email"]), _accounts(row)),
        empty="No members: there is no identities.json with any.",
    )


def link(door: Door, member: str, provider: str, account: str, *, create: bool) -> int:
    """Make an account a member's."""
    body = {"member": member, "provider": provider, "account": account, "create": create}
    found = door.daemon.post("/v1/identities/link", body)
    return door.output.answer(found, f"{provider}:{account} is {found['id']}'s from now on")


def unlink(door: Door, provider: str, account: str) -> int:
    """Take an account from whose it is."""
    body = {"provider": provider, "account": account}
    found = door.daemon.post("/v1/identities/unlink", body)
    return door.output.answer(found, f"{provider}:{account} is no longer {found['id']}'s")


def _accounts(row: Document) -> str:
    named = (
        f"{provider}:{subject}"
        for provider, subjects in row["accounts"].items()
        for subject in subjects
    )
    return table.text(", ".join(named))


def _require_unreachable(error: UnavailableError) -> None:
    if error.code != "daemon_unreachable":
        raise error
