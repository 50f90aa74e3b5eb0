"""One file of `integrations/` → a provider that sends its events to this workspace."""

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from amodal_rt.definitions.accounts import Subject
from amodal_rt.definitions.catalogue import OWN_FAMILIES
from amodal_rt.definitions.document import Document, Loc, in_file_order
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.proof_file import ProofShape
from amodal_rt.definitions.proofs import Proofs
from amodal_rt.definitions.shapes import (
    EnvText,
    Filled,
    Listed,
    PlainText,
    SchemaKey,
    complaint,
    described,
    text_or_secret,
)
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.definitions.words import shown
from amodal_rt.domain.integration import (
    ENDPOINT_KEY_FAULT,
    SAYS_ACCOUNT,
    SAYS_ACTOR,
    SHARED,
    Integration,
    is_endpoint_key,
)
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.secret import PREFIX, SecretRef

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

Result = tuple[Integration | None, tuple[Problem, ...]]


def _endpoint_key(value: str) -> str:
    if not value.startswith(PREFIX) and not is_endpoint_key(value):
        # The value is not shown: it is half of a proof.
        raise complaint(
            "bad_endpoint_key",
            ENDPOINT_KEY_FAULT,
            'take it away for one that is made for you, or write "env:NAME"',
        )
    return value


class IntegrationShape(ProofShape):
    """A provider that sends its events to `POST /integrations/<name>/<endpointKey>`."""

    schema_: SchemaKey = None
    title: Annotated[Filled | None, described("Display name.")] = None
    description: Annotated[PlainText | None, described("What it is for, for people.")] = None
    provider: Annotated[
        str,
        described(
            "Who sends, and so how it signs and what its events are called: a preset, "
            "`hmac-sha256` or `custom`. With the last two and `standard-webhooks`, events are "
            "called after this file."
        ),
    ]
    account: Annotated[
        Subject | None,
        described(
            "The only account (workspace, organisation, shop) whose events count, as the "
            "provider's signed bodies name it; default any."
        ),
    ] = None
    own_accounts: Annotated[
        Annotated[list[Subject], Listed] | None,
        described(
            "Accounts that this runtime itself acts as there, as `acme-bot`: what they cause "
            "starts nothing."
        ),
    ] = None
    endpoint_key: Annotated[
        Annotated[
            EnvText,
            AfterValidator(_endpoint_key),
            WithJsonSchema({"type": "string", "pattern": "^([A-Za-z0-9_-]{16,128}|env:.+)$"}),
        ]
        | None,
        described(
            "The last part of the address, a text that cannot be guessed, or `env:NAME`; default "
            "one that is made for this workspace."
        ),
    ] = None
    bytes: Annotated[
        int, Field(ge=1, le=16_777_216, description="How large a request's body may be.")
    ] = 1_048_576


def parse_integration(text: bytes, *, file: str) -> Result:
    """The integration, or None with at least one error."""
    try:
        document = read_json(text, file)
    except SourceError as error:
        return None, (error.problem,)
    shape, problems = judge(document, IntegrationShape)
    if shape is None:
        return None, problems
    return _Reading(document).integration(shape)


class _Reading:
    """Turns one shape into an integration; collects problems."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._problems: list[Problem] = []

    def integration(self, shape: IntegrationShape) -> Result:
        name = PurePosixPath(self._document.file).stem
        proofs = Proofs(self._complain)
        auth = proofs.proof(shape, shape.provider, (), word="provider")
        if not _NAME.fullmatch(name):
            hint = "rename it: lower-case letters, digits, - and _; 64 characters at most"
            self._complain("bad_name", f"{shown(name)} cannot name an integration", hint=hint)
        if auth and auth.scheme in SHARED and name in OWN_FAMILIES:
            message = f"{name}.* are events of {OWN_FAMILIES[name]}, and this is another sender"
            self._complain("reserved_name", message, ("provider",), hint="rename the file")
        if auth and shape.account is not None and auth.scheme not in SAYS_ACCOUNT:
            message = f"what {auth.scheme} signs does not say of which account it is"
            self._complain("conflict", message, ("account",), hint="take account away")
        if auth and shape.own_accounts and auth.scheme not in SAYS_ACTOR:
            # It would break no loop, and whoever wrote it would rely on it.
            message = f"what {auth.scheme} signs does not say who caused it"
            hint = "take ownAccounts away; limits.startsPerHour of an automation ends a loop"
            self._complain("conflict", message, ("ownAccounts",), hint=hint)
        if auth is None or self._problems:
            return None, in_file_order(self._problems)
        key = text_or_secret(shape.endpoint_key) if shape.endpoint_key else None
        needs = set(proofs.secrets)
        if isinstance(key, SecretRef):
            needs.add(key.name)
        first = name if auth.scheme in SHARED else auth.scheme.value
        return Integration(
            name=name,
            title=shape.title,
            description=shape.description,
            auth=auth,
            account=shape.account,
            own_accounts=tuple(_account(each, first) for each in shape.own_accounts or ()),
            endpoint_key=key,
            bytes=shape.bytes,
            secrets=tuple(sorted(needs)),
            file=self._document.file,
        ), ()

    def _complain(self, code: str, message: str, loc: Loc = (), *, hint: str | None = None) -> None:
        self._problems.append(self._document.problem(code, message, loc, hint=hint))


def _account(said: str, provider: str) -> str:
    """The account as events name it."""
    return said if said.startswith(f"{provider}:") else f"{provider}:{said}"
