"""What an event would do to an automation: `ops automations test-event`. Starts nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

from amodal_rt.clock import Clock, parse_iso
from amodal_rt.definitions.catalogue import BUILT_IN
from amodal_rt.definitions.liquid import (
    DATA_BELOW,
    NO_DATA,
    refers_to_event,
    render_prompt,
    scope_of,
)
from amodal_rt.definitions.other_names import OTHER_NAMES, example, meant
from amodal_rt.domain.automation import AgentWork, Automation, Definition
from amodal_rt.domain.event import DedupKey, Event, order_of
from amodal_rt.domain.filter import shown_path
from amodal_rt.domain.glob import fits, is_glob
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.guardrails.untrusted import event_block
from amodal_rt.ids import Ids
from amodal_rt.intake.bodies import parse_body
from amodal_rt.intake.cloudevents import CloudEvent
from amodal_rt.operations.bodies_as_events import SOURCE, BodyReader, Reading
from amodal_rt.operations.catalogue import EventTypes, no_servers
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.foreseen import Foreseen
from amodal_rt.operations.shapes import Document
from amodal_rt.operations.starting import Starting, require_depth, runnable
from amodal_rt.ports import Caller, Catalogue, EventRecord, Ledger
from amodal_rt.triggers.explaining import ANY_TYPE, Explanation, explain
from amodal_rt.triggers.matching import conditions_of

_ENVELOPE = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "data", "actor",
     "datacontenttype", "dataschema"}
)  # fmt: skip
"""The keys of CloudEvents, with those of ours. What has others is data itself: a payload may
well hold a `type` and `data` of its own."""
_ON_RECORD = frozenset({"event_id", "type", "received_at", "data"})
"""Keys that `ops events show` prints of every event that came."""
_CATALOGUED = frozenset({"type", "origin", "sample"})
"""Keys that `ops events types` prints of every type."""
_SAYS_ALL = frozenset({"specversion", "event_id"})
"""What an event that is written out whole has one of: nothing of it is taken from its data."""

_FORM = "application/x-www-form-urlencoded"


class EventTests:
    """Asks the matcher and the templates, by the files of the moment."""

    def __init__(
        self,
        catalogue: Catalogue,
        facts: KnownFacts,
        starting: Starting,
        redactor: Redactor,
        *,
        ledger: Ledger,
        endpoint_of: Callable[[str], str],
        clock: Clock,
        ids: Ids,
    ) -> None:
        """`endpoint_of` says the id of an automation's own webhook."""
        self._catalogue = catalogue
        self._facts = facts
        self._starting = starting
        self._redactor = redactor
        self._types = EventTypes(catalogue, no_servers)
        self._foreseen = Foreseen(ledger, clock)
        self._endpoint_of = endpoint_of
        self._clock = clock
        self._ids = ids

    def sample_from(self, types: EventTypes) -> None:
        """From now on, try what servers say that they watch for."""
        self._types = types

    async def test(self, caller: Caller, name: str, asked: Mapping[str, object]) -> Document:
        """`{matches, rule, rendered, …}` for `asked["event"]`: data alone, an envelope of
        CloudEvents, or what `ops events show` or `ops events types` prints; or for `asked["body"]`,
        the text of a form. `asked["type"]` says which type it is. Data alone is read as the door
        of its provider reads it: of headers that nobody has, anything is believed that fits.
        Without an event, the sample of the type; without both, of the types that the automation
        waits for the first whose sample matches, or the first. Nothing is read: of a gate that
        would be asked, `gate` says what it would read.

        Raises NotFoundError, and InvalidError: no version can be read, `bad_event`, `no_sample`.
        """
        state = self._starting.state(name)
        definition = state.definition or runnable(state)
        snapshot = self._catalogue.snapshot()
        type, samples = _text(asked, "type"), dict[str, object]()
        record: EventRecord | None = None
        if "event" in asked or "body" in asked:
            given = _given(asked)
            record = await self._foreseen.recorded(_envelope(given)) if type is None else None
            readings = self._readings(given, type, definition, snapshot)
            if record is not None:
                readings = [Reading(event=record.event)]
            found, dedup = self._first(definition, snapshot, readings)
        else:
            samples = await self._samples(definition, snapshot, type)
            found, dedup = self._sampled(definition, snapshot, samples)
        rendered, fault = self._rendered(definition.automation, found)
        document = {
            **_document(found, rendered, fault),
            "skipped": await self._foreseen.skipped(found, record=record, dedup=dedup),
            "gate": _gate(definition.automation) if found.matches else None,
            "sample": found.event.type if samples else None,
            "samples": list(samples),
        }
        return cast("Document", self._redactor.mask_document(document))

    def _explained(self, definition: Definition, snapshot: Snapshot, event: Event) -> Explanation:
        return explain(
            definition,
            event,
            snapshot,
            self._facts.current.get(definition.automation.name),
            ids=self._ids,
            now=self._clock.now(),
        )

    async def _samples(
        self, definition: Definition, snapshot: Snapshot, type: str | None
    ) -> dict[str, object]:
        """Data as it may come, by type: of the one that is asked for, or of each that the
        automation waits for, in file order. Raises InvalidError (`no_sample`) where none is
        known."""
        wanted = (meant(type),) if type else tuple(each.event for each in conditions_of(definition))
        if not wanted:
            raise InvalidError(
                "nothing says of which type of event a sample is wanted",
                code="no_sample",
                hint="give a file, or --type",
            )
        names = dict.fromkeys(name for each in wanted for name in _types(each, snapshot))
        known = await self._types.find(names.keys())
        samples = {name: each.sample for name, each in known.items() if each.sample is not None}
        if not samples:
            raise InvalidError(
                f"no sample of {' or '.join(wanted)} is known",
                code="no_sample",
                hint="give a file, or --type; ops events types lists those with a sample",
            )
        return samples

    def _sampled(
        self, definition: Definition, snapshot: Snapshot, samples: Mapping[str, object]
    ) -> tuple[Explanation, DedupKey | None]:
        """The first sample that matches, or else the first."""
        reader = self._reader(snapshot)
        # Whose account a sample is of is nobody's.
        readings = (
            Reading(event=reader.of_type(type, data).event) for type, data in samples.items()
        )
        return self._first(definition, snapshot, readings)

    def _first(
        self, definition: Definition, snapshot: Snapshot, readings: Iterable[Reading]
    ) -> tuple[Explanation, DedupKey | None]:
        """The first that matches, or else the first, with what its door would know it by."""
        first: tuple[Explanation, DedupKey | None] | None = None
        for each in readings:
            found = self._explained(definition, snapshot, each.event)
            if each.refused is not None:
                found = replace(found, matches=False, rule=each.refused, start=None, hold=None)
            if found.matches:
                return found, each.dedup
            first = first or (found, each.dedup)
        assert first is not None
        return first

    def _readings(
        self, given: object, type: str | None, definition: Definition, snapshot: Snapshot
    ) -> Sequence[Reading]:
        reader, envelope = self._reader(snapshot), _envelope(given)
        if envelope:
            return [self._written(envelope, type, reader)]
        if type is not None:
            return [reader.of_type(example(type), given)]
        return reader.as_wanted(given, definition)

    def _written(
        self, envelope: Mapping[str, object], type: str | None, reader: BodyReader
    ) -> Reading:
        """The event that is written out; of what only the catalogue shows, the rest is read."""
        type = example(type or _text(envelope, "type") or ANY_TYPE)
        if not envelope.keys() & _SAYS_ALL:
            read = reader.of_type(type, envelope.get("data")).event
        else:
            read = reader.plain(type, envelope.get("data")).event
        id, source, said = _text(envelope, "id"), _text(envelope, "source"), _instant(envelope)
        event = replace(
            read,
            id=id or read.id,
            source=source or SOURCE,
            subject=_text(envelope, "subject") or read.subject,
            actor=_text(envelope, "actor") or read.actor,
            time=said or read.received_at,
            order=order_of(said, now=read.received_at) or read.order,
            depth=_depth(envelope),
        )
        sent = CloudEvent(id=id, source=source, type=type) if id and source else None
        return Reading(event=event, dedup=sent.dedup if sent else None)

    def _reader(self, snapshot: Snapshot) -> BodyReader:
        return BodyReader(snapshot, self._endpoint_of, ids=self._ids, now=self._clock.now())

    def _rendered(
        self, automation: Automation, found: Explanation
    ) -> tuple[str | None, str | None]:
        """What the model would be given as the user's message, or why it cannot be."""
        if found.start is None:
            return None, None
        if found.start.fault is not None:
            return None, found.start.fault
        try:
            return self._prompt(automation, found.event), None
        except InvalidError as error:
            return None, error.message

    def _prompt(self, automation: Automation, event: Event) -> str | None:
        work, data = automation.work, event.data
        if not isinstance(work, AgentWork):
            return None
        if work.template is None:
            text = _filled(work.messages[-1].content, data)
            shows_event = data is not None
        else:
            scope = {
                name: self._redactor.mask_document(each)
                for name, each in scope_of(automation, event=event).items()
            }
            text = render_prompt(work.template, scope)
            if work.instructions is not None:
                render_prompt(work.instructions, scope)
            refers = refers_to_event(work.template) or refers_to_event(work.instructions or "")
            shows_event = refers and data is not None
        parts = [text]
        if shows_event:
            block = event_block(self._redactor.mask_document(data), self._ids.token())
            parts.append(f"Untrusted event data, as one JSON string:\n{block}")
        return self._redactor.mask("\n\n".join(parts))


def _document(found: Explanation, rendered: str | None, fault: str | None) -> Document:
    start = found.start
    return {
        "matches": found.matches,
        "rule": found.rule,
        "rendered": rendered,
        "fault": fault,
        "type": found.event.type or None,
        "conditions": [
            {"event": each.event, "matches": each.passes, "rule": each.rule} for each in found.tried
        ],
        "conversation_key": start.conversation_key if start else None,
        "idempotency_key": start.idempotency_key if start else None,
        "coalesce_key": start.coalesce.key if start and start.coalesce else None,
        "requester": start.requester if start else None,
    }


def _filled(text: str, data: object) -> str:
    reference = NO_DATA if data is None else DATA_BELOW
    for hole in ("{{event}}", "{{ event }}"):
        text = text.replace(hole, reference)
    return text


def _given(asked: Mapping[str, object]) -> object:
    """What is to be tried. Raises InvalidError where it is nested too deeply."""
    form = _text(asked, "body")
    given = parse_body(form.encode(), _FORM) if form else asked.get("event")
    require_depth(given)
    return given


def _envelope(given: object) -> Mapping[str, object]:
    """The event that `given` writes out, empty where it is data alone."""
    if not isinstance(given, dict):
        return {}
    fields = cast("dict[str, object]", given)
    if fields.keys() >= _ON_RECORD:
        return {**fields, "id": fields["event_id"]}
    if fields.keys() >= _CATALOGUED:
        return {"type": fields["type"], "data": fields["sample"]}
    whole = "specversion" in fields or {"type", "data"} <= fields.keys() <= _ENVELOPE
    return fields if whole else {}


def _types(name: str, snapshot: Snapshot) -> Iterable[str]:
    """The types of the catalogue that a glob stands for; any other name is itself."""
    if not is_glob(name):
        return (name,)
    known = {*snapshot.event_types, *BUILT_IN} - OTHER_NAMES.keys()
    return sorted(each for each in known if fits(name, each))


def _gate(automation: Automation) -> Document | None:
    """What would be read before the model, and what is asked of it; None where nothing is."""
    gate = automation.gate
    if gate is None or gate.read is None:
        return None
    read = gate.read
    asks = ["be new since the last completed run"] if gate.changed else []
    asks += ["fit its filter"] if gate.filter is not None else []
    return {
        "connection": read.connection,
        "reads": read.tool or f"GET {read.endpoint}",
        "path": shown_path(read.path) or None,
        "must": " and ".join(asks),
    }


def _depth(fields: Mapping[str, object]) -> int:
    depth = fields.get("depth")
    return depth if isinstance(depth, int) else 0


def _instant(fields: Mapping[str, object]) -> datetime | None:
    said = _text(fields, "time")
    try:
        return parse_iso(said) if said else None
    except (ValueError, OverflowError):
        message = "time of the event is no instant with a zone"
        raise InvalidError(message, code="bad_event") from None


def _text(fields: Mapping[str, object], key: str) -> str | None:
    value = fields.get(key)
    if value is not None and not isinstance(value, str):
        raise InvalidError(f"{key} of the event is not a text", code="bad_event")
    return value or None
