"""What taints a run, its rows in the journal, and the refusal of a call that aims by it."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import cast

from amodal_rt.definitions.liquid import render_prompt, scope_of
from amodal_rt.domain.automation import AgentWork, WorkflowRun
from amodal_rt.domain.connection import AccessRule, Connection, Intent, Protocol
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import UNTAINTED, Origin
from amodal_rt.errors import DeniedError, InvalidError
from amodal_rt.executors.acting.session import Session, event_data
from amodal_rt.guardrails.aims import Aim, Known, find_aim
from amodal_rt.guardrails.links import hosts_in
from amodal_rt.guardrails.taint import Source, SourceKind
from amodal_rt.guardrails.trusted import Trusted, texts_in
from amodal_rt.guardrails.untrusted import event_text, plain_line
from amodal_rt.guardrails.writes import Call, RestCall, endpoint_matches
from amodal_rt.ports import RunContext

READ_EVENT = "read_event"
_READS_STORE = frozenset({"query_store", "store_get", "store_query"})
_PINNED = re.compile(r'"([A-Za-z0-9_-]+)"\s*:\s*"?(\{\{[^{}]*\}\})')
_SHOWN = 80
_MOST_SOURCES = 50


def trusted_of(context: RunContext, granted: Iterable[Connection]) -> Callable[[], Trusted]:
    """The words of the files that the run stands on, gathered when they are first needed."""
    connections = tuple(granted)

    @cache
    def gather() -> Trusted:
        return Trusted(rules=_granting(context), prose=_describing(context, connections))

    return gather


def _granting(context: RunContext) -> Iterator[str]:
    work = context.definition.automation.work
    yield from texts_in(context.definition.document)
    if isinstance(work, AgentWork):
        yield from (each.content for each in work.messages)
        yield from filter(None, (work.template, work.instructions))
    elif isinstance(work, WorkflowRun):
        for graph in (work.workflow, *work.others.values()):
            yield from texts_in(graph.document)


def _describing(context: RunContext, connections: tuple[Connection, ...]) -> Iterator[str]:
    automation, snapshot = context.definition.automation, context.snapshot
    graphs = isinstance(automation.work, WorkflowRun)
    for name, agent in snapshot.agents.items():
        if graphs or name == automation.agent:
            yield agent.instructions
    for each in connections:
        yield each.name
        yield from texts_in(each.document)
        yield from filter(None, (each.surface, each.rules, each.test_path))
    for page in snapshot.knowledge.values():
        yield page.text


def note_beginning(session: Session) -> None:
    """What a run was told before its first step: its event, what the last run said, and what its
    earlier attempts have read."""
    present, data = event_data(session)
    if present:
        session.taint.note(Source(SourceKind.EVENT, "the event"), event_text(data))
    previous = session.context.previous
    if previous is not None and (previous.summary or session.past.prompts):
        name = f"the summary of {previous.run_id}"
        session.taint.note(Source(SourceKind.SUMMARY, name), previous.summary)
    for call in session.past.calls.values():
        note_answer(session, str(call.data.get("tool", "")), call.data, call.told)


def note_descriptions(session: Session) -> None:
    """The model is shown how these servers describe their tools."""
    for name, server in session.servers.items():
        connection = session.connections.get(name)
        if connection is not None and connection.external and server.tools:
            said = "\n".join(f"{each.name} {each.description}" for each in server.tools)
            source = Source(SourceKind.DESCRIPTION, f"the tool descriptions of {name}", name)
            session.taint.note(source, said)


def note_answer(session: Session, tool: str, facts: Mapping[str, object], text: str) -> None:
    """What a call returned taints the run, unless a file vouches for who wrote it."""
    source = _source(session, tool, facts)
    if source is not None:
        session.taint.note(source, text)


def _source(session: Session, tool: str, facts: Mapping[str, object]) -> Source | None:
    store, name = facts.get("store"), facts.get("connection")
    if tool == READ_EVENT:
        return Source(SourceKind.EVENT, "the event")
    if isinstance(store, str):
        reads = tool in _READS_STORE and facts.get("values") != 0
        return Source(SourceKind.STORE, f"the store {store}") if reads else None
    profile = facts.get("profile")
    if isinstance(profile, str):
        return Source(SourceKind.PROGRAM, f"what a program in {profile} printed")
    if not isinstance(name, str):
        return None
    what = str(facts.get("request") or facts.get("mcp_tool") or tool)
    connection = session.context.snapshot.connections.get(name)
    if connection is not None and not _external(connection, what, "mcp_tool" in facts):
        return None
    return Source(SourceKind.TOOL, f"{plain_line(what, _SHOWN)} of {name}", name)


def _external(connection: Connection, what: str, is_tool: bool) -> bool:
    """Whether strangers may have written the answer; where rules differ, they may have."""
    if is_tool:
        rules = [each for each in connection.access.tools if fnmatchcase(what, each.match)]
    else:
        method, _, path = what.partition(" ")
        rules = [
            each for each in connection.access.endpoints if _says_of(each, method.upper(), path)
        ]
    said = [each.external for each in rules if each.external is not None]
    return any(said) if said else connection.external


def _says_of(rule: AccessRule, method: str, path: str) -> bool:
    return endpoint_matches(rule.match, method, path, exact=rule.external is False)


async def tell_sources(session: Session) -> None:
    """Write down what tainted the run since this was last called: `run.tainted`, once a source."""
    taint = session.taint
    while taint.told < len(taint.sources):
        source = taint.sources[taint.told]
        taint.told += 1
        name = session.mask(source.name)
        if name in session.past.tainted or taint.told > _MOST_SOURCES:
            continue
        data = {"source": source.kind.value, "name": name, "first": taint.told == 1}
        await session.context.journal.record(EntryType.RUN_TAINTED, data=data)


def origin_of(session: Session, *, heard: bool = False) -> Origin:
    """Whose words the run may repeat, and to which hosts they may link: those of addresses that a
    file of the workspace has. `heard`: strangers may have told it something that is in no row."""
    if not (session.taint.tainted or heard):
        return UNTAINTED
    public = session.context.snapshot.settings.public_url
    return Origin(tainted=True, hosts=session.trusted().hosts() | hosts_in(filter(None, [public])))


def check_aims(
    session: Session,
    connection: Connection,
    call: Call,
    intent: Intent,
    arguments: Mapping[str, object] | None = None,
) -> None:
    """Raise DeniedError (`tainted_aim`) where a tainted run aims with a value that no file has."""
    if not session.taint.tainted or connection.protocol is Protocol.RUNTIME:
        return
    known = Known(
        trusted=session.trusted(),
        taint=session.taint,
        connection=connection.name,
        access=connection.access,
        fields=_fields(session),
        composed=session.composed,
    )
    aim = find_aim(call, arguments, intent, known)
    if aim is not None:
        raise _refusal(session, connection, call, intent, aim)


def check_type(session: Session, type: str) -> None:
    """Raise DeniedError (`tainted_aim`) where a tainted run emits a type that no file names."""
    known = type in session.context.snapshot.event_types or session.composed
    if not session.taint.tainted or known or session.trusted().says(type):
        return
    raise DeniedError(
        f"the type {plain_line(type, _SHOWN)} {session.taint.whence(type)}, and this run is "
        f"{session.taint.why()}: it emits only types that files name",
        code="tainted_aim",
        hint=f"name it in {session.context.definition.place('/prompt')}, or add events/{type}.json",
    )


def _refusal(
    session: Session, connection: Connection, call: Call, intent: Intent, aim: Aim
) -> DeniedError:
    shown = plain_line(session.mask(aim.value), _SHOWN)
    file = f"connections/{connection.name}/access.json"
    if isinstance(call, RestCall) and aim.field == "the path":
        parts = "/".join("{id}" if each == aim.value else each for each in call.path.split("/"))
        line = {"endpoints": {f"{call.method} {parts}": {"intent": intent.value}}}
    elif isinstance(call, RestCall):
        line = {"endpoints": {call.label: {"intent": intent.value, "reach": [shown]}}}
    else:
        line = {"tools": {call.tool: {"intent": intent.value, "reach": [shown]}}}
    place = session.context.definition.place("/prompt")
    return DeniedError(
        f"{call.label}: {aim.field} holds {shown!r}, which {session.taint.whence(aim.value)}, and "
        f"this run is {session.taint.why()}: it reaches only what files name",
        code="tainted_aim",
        hint=f"if it is meant, {json.dumps(line, ensure_ascii=False)} in {file} says so, or its "
        f"name in {place}",
    )


def _fields(session: Session) -> frozenset[tuple[str | None, str]]:
    """Values that a file puts where they are: fields that the automation's own template fills
    from the event; of a call that a file composes, whatever the event has in one of its fields."""
    present, data = event_data(session)
    if not present:
        return frozenset()
    if session.composed:
        return frozenset((None, each) for each in _scalars(data))
    context = session.context
    work = context.definition.automation.work
    if not isinstance(work, AgentWork) or work.template is None:
        return frozenset()
    values = scope_of(
        context.definition.automation,
        context.event,
        context.run.payload,
        context.run.scheduled_for,
    )
    found: set[tuple[str | None, str]] = set()
    for name, hole in _PINNED.findall(work.template):
        try:
            printed: object = json.loads(render_prompt(hole, values))
        except (InvalidError, ValueError):
            continue
        if isinstance(printed, str | int) and not isinstance(printed, bool):
            found.add((name, str(printed)))
    return frozenset(found)


def _scalars(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in cast("Mapping[str, object]", value).values():
            yield from _scalars(each)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _scalars(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
        if len(text) <= 256 and not any(each.isspace() for each in text):
            yield text
