"""Where a walk through a graph is, and how its nodes end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.run import FailedReason, Usage
from amodal_rt.domain.workflow import Node, Workflow
from amodal_rt.errors import UnavailableError
from amodal_rt.executors.acting.session import Effects
from amodal_rt.executors.workflow.trail import PastNode

TOO_LARGE = "value_too_large"
"""The word before what is said of a value that the journal does not take."""
VALUE_BYTES = 262_144
"""How large the value of one node may be, as JSON: the journal is no store."""


class NodeError(UnavailableError):
    """A node has failed: `message` says why, in one line without secrets. What is `lasting` would
    fail the same at another try."""

    def __init__(
        self,
        message: str,
        *,
        reason: FailedReason = FailedReason.ERROR,
        usage: Usage | None = None,
        model: str | None = None,
        lasting: bool = False,
    ) -> None:
        super().__init__(message)
        self.lasting = lasting
        self.reason = reason
        self.usage = usage
        self.model = model


class ParkedError(Exception):
    """The run must wait outside a slot; its journal says at which node."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__(waiting.reason)
        self.waiting = waiting


class AwaitingError(Exception):
    """The run ends here: a write of it waits for a person, who decides without the run."""


class CutOffError(Exception):
    """An agent of the run cannot go on from the journal, and so the run cannot."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.error)
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a node gave, and the name of the edge at which the walk goes on."""

    value: object
    edge: str = "on_success"
    usage: Usage | None = None
    model: str | None = None


@dataclass(slots=True, kw_only=True)
class Walk:
    """One way through a graph, of the run itself, of a branch or of a workflow within another.

    `inputs` holds the last value of each node by its id. Steps are named below `prefix` and counted
    by node, so that they are the same in every attempt. `effects` are those of the run, or of the
    node that this is a part of. `env` holds the variables that the automation was granted.
    `bound` says that it may not wait: others walk beside it.
    """

    graph: Workflow
    payload: object
    trigger: str
    effects: Effects
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    prefix: str = ""
    parent: str | None = None
    depth: int = 0
    bound: bool = False
    inputs: dict[str, object] = field(default_factory=dict[str, object])
    visits: Counter[str] = field(default_factory=Counter[str])

    def scope(self) -> Mapping[str, object]:
        """What templates, filters and scripts see."""
        return {
            "payload": self.payload,
            "trigger": self.trigger,
            "inputs": self.inputs,
            "env": self.env,
        }

    def step(self, node: Node) -> str:
        """The step of the next visit of the node. Raises NodeError where there were enough."""
        self.visits[node.id] += 1
        count = self.visits[node.id]
        if node.visits is not None and count > node.visits:
            raise NodeError(f"visited more than {node.visits} times (max_visits)")
        return self.prefix + (node.id if count == 1 else f"{node.id}#{count}")

    def branch(self, visit: "Visit") -> "Walk":
        """A walk of its own that begins where this one is."""
        first = visit.place == self.prefix + visit.node.id
        return Walk(
            graph=self.graph,
            payload=self.payload,
            trigger=self.trigger,
            effects=visit.effects,
            env=self.env,
            # A second round of the same branches has steps of its own.
            prefix=self.prefix if first else f"{visit.place}/",
            parent=visit.step,
            depth=self.depth,
            bound=True,
            inputs=dict(self.inputs),
        )

    def below(self, visit: "Visit", graph: Workflow, payload: object) -> "Walk":
        """A walk through another graph, within a node of this one."""
        return Walk(
            graph=graph,
            payload=payload,
            trigger=self.trigger,
            effects=visit.effects,
            env=self.env,
            prefix=f"{visit.place}/",
            parent=visit.step,
            depth=self.depth + 1,
            bound=self.bound,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One try of one visit of a node. What it calls stands under `place` in the journal, which is
    its `step`, with `~2` behind it for a second try. `printed` grows as its script prints."""

    walk: Walk
    node: Node
    step: str
    number: int
    past: PastNode
    effects: Effects
    printed: list[str] = field(default_factory=list[str])

    @property
    def place(self) -> str:
        """The parent of the calls of this try."""
        return self.step if self.number == 1 else f"{self.step}~{self.number}"
