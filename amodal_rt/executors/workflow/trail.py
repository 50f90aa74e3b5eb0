"""What earlier attempts of a run left of its nodes in the journal."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.run import Usage

_WROTE = frozenset({EntryType.WRITE_FINISHED, EntryType.WRITE_FAILED, EntryType.WRITE_PARKED})


@dataclass(slots=True, kw_only=True)
class PastNode:
    """What stands of one visit. `tries` failed and were to be followed by another; `failed` is
    the last of them. `asked` is what it waits for, `parked` that the run has waited since."""

    finished: Mapping[str, object] | None = None
    failed: Mapping[str, object] | None = None
    tries: int = 0
    asked: Mapping[str, object] | None = None
    parked: bool = False
    answer: Mapping[str, object] | None = None


class Trail:
    """The visits of a run by their steps; and what was done, used and printed in all of them,
    those that are made again left out where nobody knows yet."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self._nodes: defaultdict[str, PastNode] = defaultdict(PastNode)
        self.used = Usage()
        self.printed: list[str] = []
        self._writes: list[str] = []
        self.model: str | None = None
        waiting = PastNode()
        for each in entries:
            if each.type is EntryType.RUN_WAITING:
                waiting.parked = True
            elif each.type in _WROTE:
                self._writes.append(each.parent or "")
            elif each.step is not None:
                waiting = self._take(each, each.step) or waiting

    def node(self, step: str) -> PastNode:
        """What stands of that visit; nothing of one that is new."""
        return self._nodes.get(step) or PastNode()

    @property
    def writes(self) -> int:
        """How many writes were attempted."""
        return len(self._writes)

    def writes_below(self, step: str) -> int:
        """How many of them in that visit."""
        below = (f"{step}/", f"{step}~")
        return sum(each == step or each.startswith(below) for each in self._writes)

    def _take(self, entry: Entry, step: str) -> PastNode | None:
        """Note an entry of a node; the visit, where it begins to wait."""
        data = entry.data
        match entry.type:
            case EntryType.NODE_FINISHED:
                self._nodes[step].finished = data
                self._count(data)
            case EntryType.NODE_FAILED:
                if "retry_at" in data:
                    self._nodes[step].tries += 1
                else:
                    self._nodes[step].failed = data
                self._count(data)
            case EntryType.APPROVAL_ANSWERED:
                self._nodes[step].answer = data
            case EntryType.NODE_WAITING:
                self._nodes[step].asked = data
                return self._nodes[step]
            case _:
                pass
        return None

    def _count(self, data: Mapping[str, object]) -> None:
        usage, model, printed = data.get("usage"), data.get("model"), data.get("printed")
        if isinstance(printed, list):
            self.printed += (str(each) for each in cast("list[object]", printed))
        if isinstance(usage, Mapping):
            self.used += _usage(cast("Mapping[str, object]", usage))
        if isinstance(model, str):
            self.model = model


def _usage(data: Mapping[str, object]) -> Usage:
    def whole(key: str) -> int:
        value = data.get(key)
        return value if isinstance(value, int) else 0

    cost = data.get("cost_usd")
    return Usage(
        input_tokens=whole("input_tokens"),
        output_tokens=whole("output_tokens"),
        turns=whole("turns"),
        cost_usd=float(cost) if isinstance(cost, int | float) else None,
    )
