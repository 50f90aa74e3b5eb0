"""What one run, and each of its sub-agents, carries from call to call."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from typing import Protocol as Contract

from amodal_rt.clock import Clock
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.connection import Agent, Connection
from amodal_rt.domain.journal import Entry
from amodal_rt.domain.parked import ParkedWrite
from amodal_rt.domain.run import Usage
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.executors.acting.mcp_opening import McpServer
from amodal_rt.executors.acting.mcp_pins import PinLedger
from amodal_rt.executors.acting.mcp_pool import McpPool
from amodal_rt.executors.acting.past import Past, PastTurn
from amodal_rt.executors.sandbox.sandbox import Sandboxes
from amodal_rt.guardrails.causes import Causes
from amodal_rt.guardrails.egress import Egress
from amodal_rt.guardrails.grants import BothGrants, Grants, NarrowedGrants
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.guardrails.taint import Taint
from amodal_rt.guardrails.trusted import Trusted
from amodal_rt.guardrails.writes import Powers
from amodal_rt.ids import Ids
from amodal_rt.ports import (
    BusLedger,
    KeptValue,
    RunContext,
    RuntimeView,
    SpendLedger,
    StoreLedger,
)

NAME_CHARACTERS = 200
"""How much is kept of a name that a model chose: of a tool, of a call."""

Opening = tuple[str, asyncio.Future[Any]]


class SessionLedger(StoreLedger, BusLedger, PinLedger, SpendLedger, Contract):
    """The part of the ledger that an agent session uses."""

    async def set_fact(self, key: str, value: str) -> str:
        """As `ports.FactLedger`."""
        ...

    async def writes_since(
        self, automation: str, since: datetime, *, until: datetime | None = None
    ) -> int:
        """As `ports.RunLedger`."""
        ...

    async def gate_value(self, automation: str) -> KeptValue:
        """As `ports.RunLedger`."""
        ...

    async def park_write(
        self, write: ParkedWrite, *, data: Mapping[str, object], attempt: int, term: int | None
    ) -> None:
        """As `ports.ParkedLedger`."""
        ...

    async def entries(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        """As `ports.JournalLedger`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the sessions of all runs share."""

    ledger: SessionLedger
    egress: Egress
    runtime_view: RuntimeView
    clock: Clock
    ids: Ids
    redactor: Redactor
    causes: Causes
    pool: McpPool
    sandboxes: Sandboxes
    write_locks: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )


@dataclass(slots=True, kw_only=True)
class Tally:
    """What an agent has consumed so far, its sub-agents and its earlier attempts included.

    `silent` models did not answer in time; of the budgets in `warned` was said that they are
    nearly spent; `thrifty` says that a cheaper model is asked because of one."""

    answered: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    served: str | None = None
    silent: set[str] = field(default_factory=set[str])
    warned: set[str] = field(default_factory=set[str])
    thrifty: bool = False


@dataclass(slots=True, kw_only=True)
class Effects:
    """What was done to the world: by a run or, where `outer` is set, by a part of one, whose
    effects are those of the whole too. `overdue` says that the part's time is over: what it
    leaves unfinished is given up, and the run goes on without it. `parked` are the writes that wait
    for a person, by id, with what is said of each: the run ends, and does nothing more."""

    writes: int = 0
    emitted: int = 0
    overdue: bool = False
    outer: "Effects | None" = None
    parked: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def given_up(self) -> bool:
        """Whether its time is over, or that of a part that it belongs to."""
        return self.overdue or (self.outer is not None and self.outer.given_up)

    @property
    def whole(self) -> "Effects":
        """Those of the run."""
        return self if self.outer is None else self.outer.whole

    def write(self, count: int = 1) -> None:
        """Count writes that were attempted."""
        self.writes += count
        if self.outer is not None:
            self.outer.write(count)

    def recall(self, count: int) -> None:
        """Count writes of an earlier attempt. The whole of several parts counted them when it
        began to go on, so they count for the parts alone."""
        self.writes += count
        if self.outer is not None and self.outer.outer is not None:
            self.outer.recall(count)

    def park(self, write_id: str, told: str) -> None:
        """A write of it waits for a person."""
        self.parked[write_id] = told
        if self.outer is not None:
            self.outer.park(write_id, told)

    def emit(self) -> None:
        """Count an event."""
        self.emitted += 1
        if self.outer is not None:
            self.outer.emit()


def _nothing_trusted() -> Trusted:
    return Trusted(rules=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One agent at work, or one node of a workflow. `parent` is the call that dispatched a
    sub-agent or the node, None for a run's own agent.

    `taint` is what the whole run has read of strangers, `trusted` what its files say; `composed`:
    a file says what calls are made, and no model.

    `connections` are those that may be used and can be; `unavailable` says why others of the
    granted ones cannot. `servers` holds the MCP servers that are up. `opening`
    is the step of the first turn while its row, and that of the prompt, are on their way.
    `past` is what earlier attempts left in the journal. `spent` is what other agents of the run
    have used of its limits; `programs` lets one run at a time, so that what a profile bounds
    bounds the run. Steps are numbered within one agent and
    named below the call that dispatched it, so that they are the same in every attempt,
    whatever runs beside it.
    """

    context: RunContext
    services: Services
    grants: Grants | BothGrants | NarrowedGrants
    powers: Powers
    connections: Mapping[str, Connection]
    unavailable: Mapping[str, str]
    servers: Mapping[str, McpServer]
    tally: Tally = field(default_factory=Tally)
    effects: Effects = field(default_factory=Effects)
    spent: Usage = field(default_factory=Usage)
    parent: str | None = None
    taint: Taint = field(default_factory=Taint)
    programs: asyncio.Lock = field(default_factory=asyncio.Lock)
    trusted: Callable[[], Trusted] = _nothing_trusted
    composed: bool = False
    opening: list[Opening] = field(default_factory=list[Opening])
    past: Past = field(default_factory=Past)
    turn: list[str] = field(default_factory=list[str])
    calls: Counter[str] = field(default_factory=Counter[str])
    given_up: dict[str, PastTurn] = field(default_factory=dict[str, PastTurn])

    @property
    def cause(self) -> Cause:
        """This run as what it starts is told of it."""
        run = self.context.run
        return Cause(depth=run.depth, run_id=run.run_id)

    def step(self, call_id: str) -> str:
        """The step of a tool call. A model that repeats its ids still gets one step a call."""
        # What separates the parts of a step may not stand in one.
        call_id = call_id[:NAME_CHARACTERS].replace("/", "_").replace("#", "_")
        self.calls[call_id] += 1
        count = self.calls[call_id]
        return self._below(call_id if count == 1 else f"{call_id}#{count}")

    def next_turn(self) -> str:
        """The step of the next request to a model, `turn:1` onwards, below the own parent."""
        step = self._turn_step()
        self.turn.append(step)
        return step

    def coming_turn(self) -> str:
        """The step that the next request will have, or that it has where its row is on its way."""
        return self.opening[-1][0] if self.opening else self._turn_step()

    def past_turn(self) -> PastTurn | None:
        """The next request to a model, when its outcome stands; it is taken.

        Of several models that were asked one after the other, the answer counts, whoever gave
        it. Where none did, each one's failure stands in `given_up` by the model's reference.
        """
        failed: list[PastTurn] = []
        while found := self.past.turns.get((self.parent, self._turn_step())):
            self.turn.append(found.step)
            if found.finished:
                return found
            failed.append(found)
            if found.data.get("silent"):
                self.tally.silent.add(found.model)
        self.given_up.update({each.model: each for each in failed})
        return None

    def going_on(self) -> bool:
        """Whether the answer to the next request stands in the journal."""
        return (self.parent, self._turn_step()) in self.past.turns

    def _turn_step(self) -> str:
        return self._below(f"turn:{len(self.turn) + 1}")

    def _below(self, name: str) -> str:
        return name if self.parent is None else f"{self.parent}/{name}"

    def mask(self, text: str) -> str:
        """`text` without secrets."""
        return self.services.redactor.mask(text)

    def child(self, parent: str, tools: tuple[str, ...] | None) -> "Session":
        """For a sub-agent: the same powers or fewer, the same tally."""
        own = self.grants.outer if isinstance(self.grants, NarrowedGrants) else self.grants
        return replace(
            self,
            grants=own.narrowed(tools),
            parent=parent,
            opening=[],
            turn=[],
            calls=Counter[str](),
            given_up={},
        )


def agent_of(context: RunContext) -> Agent | None:
    """The agent that the automation names, if there is one."""
    return context.snapshot.agents.get(context.definition.automation.agent)


def event_data(session: Session) -> tuple[bool, object]:
    """Whether the run carries event data, and what. A payload that a person or a program gave
    counts; the `{scheduled_at}` of a slot does not."""
    context = session.context
    if context.event is not None:
        return context.event.data is not None, context.event.data
    given = context.run.trigger in {TriggerKind.MANUAL, TriggerKind.INVOKED}
    payload = context.run.payload if given else None
    return payload is not None, payload
