"""What a caller gives a run, judged by the automation's file: `inputSchema`, `prefills` and
`invokeAuth`."""

import asyncio
import json

from amodal_rt.definitions.document import name_of
from amodal_rt.definitions.payload_schema import payload_misfit
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.invocation import Invocation, InvokeAuth, LockedError, with_prefills
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import DeniedError, InvalidError
from amodal_rt.operations.starting import require_depth

_CREDENTIALS = {InvokeAuth.SECRET_KEY: "secret key", InvokeAuth.USER: "user's session"}


def require_admitted(name: str, rules: Invocation, shown: InvokeAuth | None) -> None:
    """Raise DeniedError (`wrong_invoke_auth`) unless whoever proved itself with `shown` may
    invoke it; None is who operates the runtime."""
    if shown is not None and rules.auth is not None and shown is not rules.auth:
        message = f"{name} is invoked with a {_CREDENTIALS[rules.auth]}"
        raise DeniedError(message, code="wrong_invoke_auth")


async def given_by_hand(
    payload: object, definition: Definition, shown: InvokeAuth | None = None
) -> object:
    """The payload of a run that somebody starts by hand: as that of an invoked run where the file
    has rules for those, or what is locked would not be. None stays None where the automation has
    triggers of its own, whose runs have no caller. Raises as `judged` and `require_admitted`."""
    automation = definition.automation
    rules = automation.invocation
    if rules is None:
        return payload
    require_admitted(automation.name, rules, shown)
    waits = any(each.kind is not TriggerKind.MANUAL for each in automation.triggers)
    return None if payload is None and waits else await judged(payload, rules, definition)


async def asks_for_payload(definition: Definition) -> bool:
    """Whether a start by hand is refused without a payload."""
    try:
        await given_by_hand(None, definition)
    except InvalidError:
        return True
    return False


async def judged(payload: object, rules: Invocation, definition: Definition) -> object:
    """The payload as the run is given it.

    Raises InvalidError (`payload_misfit`, `payload_locked`, `payload_too_large`, `bad_payload`).
    """
    require_depth(payload)
    given: object = {} if payload is None else payload
    most = definition.automation.limits.webhook_bytes
    if len(json.dumps(given).encode()) > most:
        message = f"the payload has more than {most} bytes"
        raise InvalidError(message, code="payload_too_large")
    try:
        whole = with_prefills(given, rules.prefills)
    except LockedError as error:
        where = f"payload.{error}" if str(error) else "payload"
        message, hint = f"{where} is locked to another value", _asked_by(definition, "prefills")
        raise InvalidError(message, code="payload_locked", hint=hint) from None
    if rules.schema is None:
        return whole
    # A second or two of computing at the worst, which the event loop must not spend.
    wrong = await asyncio.to_thread(payload_misfit, whole, rules.schema)
    if wrong is not None:
        words, path = wrong
        message = f"{name_of(('payload', *path))}: {words}"
        raise InvalidError(
            message, code="payload_misfit", hint=_asked_by(definition, "inputSchema")
        )
    return whole


def _asked_by(definition: Definition, key: str) -> str:
    return f'"{key}" says so: {definition.place(f"/{key}")}'
