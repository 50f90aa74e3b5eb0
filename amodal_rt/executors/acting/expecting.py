"""`expect`: whether what was done is what was asked for, once the work says that it is done.

A model that stopped by itself may still have done nothing. What was called and kept is read from
the journal, not from what the model says of it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from amodal_rt import failpoints
from amodal_rt.definitions.json_patterns import matches
from amodal_rt.definitions.payload_schema import payload_misfit
from amodal_rt.domain import filter as algebra
from amodal_rt.domain.automation import Expectation, Probe
from amodal_rt.domain.journal import Entry, EntryType, latest_try
from amodal_rt.domain.outcome import AWAITING_APPROVAL, QUIET, Outcome
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.errors import AmodalError, UnavailableError
from amodal_rt.executors.acting.reading import found_in, perform_read, read_label
from amodal_rt.executors.acting.session import Services
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.ports import RunContext

STEP = "expect"
"""The step of the checks in the journal."""
ERROR_CHARACTERS = 500

_RETRY_SECONDS = 0.5
_STARTED = frozenset({EntryType.TOOL_STARTED, EntryType.WRITE_STARTED})
_CALLED = frozenset({EntryType.TOOL_FINISHED, EntryType.WRITE_FINISHED})


@dataclass(frozen=True, slots=True)
class Check:
    """One of the things that were asked for; `said` tells what is wrong, or what held."""

    name: str
    ok: bool
    said: str

    def document(self) -> dict[str, object]:
        """As the journal has it."""
        return {"check": self.name, "ok": self.ok, "said": self.said}


async def check_result(context: RunContext, services: Services, outcome: Outcome) -> Outcome:
    """The outcome as `expect` makes it: as it is, completed as `quiet`, or failed as
    `invalid_output` with which check and why in `error`. The result stays with it.

    Nothing is asked of a rehearsal, which only quotes, nor of what did not complete or waits for
    a person.
    """
    expect = context.definition.automation.expect
    rehearsed = context.run.rehearse or outcome.rehearsed
    if expect is None or outcome.status is not RunStatus.COMPLETED or rehearsed:
        return outcome
    if outcome.reason == AWAITING_APPROVAL:
        return outcome
    seen = {"result": outcome.text or "", "data": outcome.payload}
    if expect.quiet is not None:
        quiet = algebra.judge(expect.quiet, seen)
        if quiet.passes:
            rule = _line(services, f"expect.quiet: {quiet.rule}")
            facts = {"reason": QUIET, "message": rule}
            await context.journal.record(EntryType.EXPECT_FINISHED, step=STEP, data=facts)
            return replace(outcome, reason=QUIET)
    found = [each async for each in _checks(context, services, expect, outcome)]
    checks = [replace(each, said=_line(services, each.said)) for each in found]
    failed = [each for each in checks if not each.ok]
    facts: dict[str, object] = {"checks": [each.document() for each in checks]}
    if not failed:
        await context.journal.record(EntryType.EXPECT_FINISHED, step=STEP, data=facts)
        return outcome
    error = plain_line(
        "; ".join(f"expect.{each.name}: {each.said}" for each in failed), ERROR_CHARACTERS
    )
    facts["error"] = error
    await context.journal.record(EntryType.EXPECT_FAILED, step=STEP, data=facts)
    return replace(
        outcome, status=RunStatus.FAILED, reason=FailedReason.INVALID_OUTPUT, error=error
    )


async def _checks(
    context: RunContext, services: Services, expect: Expectation, outcome: Outcome
) -> AsyncIterator[Check]:
    text, data = outcome.text or "", outcome.payload
    if expect.schema is not None:
        yield await _fits(expect.schema, data)
    if expect.filter is not None:
        verdict = algebra.judge(expect.filter, {"result": text, "data": data})
        yield Check("filter", verdict.passes, verdict.rule)
    if expect.matches is not None:
        found = await asyncio.to_thread(matches, expect.matches, text)
        said = f"{expect.matches} is {'' if found else 'not '}found in the result"
        yield Check("matches", found, said)
    if expect.tools or expect.stores:
        for each in _done(expect, await _entries(context, services)):
            yield each
    if expect.probe is not None:
        yield await _probed(context, services, expect.probe)


async def _fits(schema: Mapping[str, object], data: object) -> Check:
    wrong = await asyncio.to_thread(payload_misfit, data, schema)
    if wrong is None:
        return Check("schema", True, "the data fits")
    why, loc = wrong
    if data is None:
        return Check("schema", False, "the result is no JSON object or list")
    place = ".".join(["data", *map(str, loc)])
    return Check("schema", False, f"{place}: {why}")


def _done(expect: Expectation, entries: Iterable[Entry]) -> Iterable[Check]:
    listed = list(entries)
    begun = {(each.parent, each.step): each.data for each in listed if each.type in _STARTED}
    called = {
        _tool(each.data, begun.get((each.parent, each.step), {}))
        for each in listed
        if each.type in _CALLED
    }
    for glob in expect.tools:
        ok = any(fnmatchcase(each, glob) for each in called)
        yield Check("tools", ok, f"{glob} was {'' if ok else 'not '}called with success")
    written = {
        each.data.get("store")
        for each in listed
        if each.type is EntryType.STORE_WRITTEN and not each.data.get("removed")
    }
    for store in expect.stores:
        ok = store in written
        yield Check("stores", ok, f"{store} was {'' if ok else 'not '}written")


def _tool(done: Mapping[str, object], begun: Mapping[str, object]) -> str:
    """`connection.tool`, as lists of tools have it; of the runtime's own tools the name."""
    tool, connection = str(done.get("tool", "")), begun.get("connection")
    return f"{connection}.{begun.get('mcp_tool', tool)}" if connection else tool


async def _entries(context: RunContext, services: Services) -> list[Entry]:
    """What the run has done since it last began afresh. Waits for a ledger that is away."""

    async def page(after: int) -> list[Entry]:
        while True:
            try:
                return await services.ledger.entries(context.run.run_id, after=after)
            except UnavailableError:
                await services.clock.sleep(_RETRY_SECONDS)

    return await latest_try(page)


async def _probed(context: RunContext, services: Services, probe: Probe) -> Check:
    async def begun(facts: Mapping[str, object]) -> None:
        await context.journal.record(EntryType.EXPECT_STARTED, step=STEP, data=facts)
        failpoints.hit("expect.before_probe")

    read = probe.read
    try:
        answer = await perform_read(
            context, services, read, who="the probe", step=STEP, begun=begun
        )
        failpoints.hit("expect.after_probe")
        found = found_in(answer, read, status=probe.status)
    except AmodalError as error:
        return Check("probe", False, error.message)
    except OSError as error:
        return Check("probe", False, str(error) or type(error).__name__)
    if probe.filter is None:
        return Check("probe", True, f"{read_label(read)} answered")
    verdict = algebra.judge(probe.filter, found)
    return Check("probe", verdict.passes, f"{read_label(read)}: {verdict.rule}")


def _line(services: Services, text: str) -> str:
    return plain_line(services.redactor.mask(text), 300)
