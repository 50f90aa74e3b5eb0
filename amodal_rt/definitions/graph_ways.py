"""The ways through a graph: where they lead, what they leave out, whether they end."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from amodal_rt.definitions.document import Loc
from amodal_rt.definitions.words import shown, suggestion
from amodal_rt.domain.workflow import (
    ApprovalWork,
    Node,
    ParallelWork,
    TriggerWork,
    WaitWork,
)


class Complain(Protocol):
    """Says what is wrong, and where."""

    def __call__(
        self, code: str, message: str, loc: Loc = (), *, hint: str | None = None
    ) -> None: ...


class Ways:
    """Looks at the edges between nodes that are right by themselves."""

    def __init__(
        self, nodes: Mapping[str, Node], places: Mapping[str, Loc], complain: Complain
    ) -> None:
        self._nodes = nodes
        self._places = places
        self._complain = complain

    def start(self, said: str | None) -> str | None:
        """Where a run begins; None with a problem where nobody can tell."""
        if said is not None:
            if said in self._nodes:
                return said
            hint = suggestion(said, self._nodes)
            message = f"start_node: there is no node {shown(said)}"
            self._complain("unknown_node", message, ("start_node",), hint=hint)
            return None
        triggers = [each.id for each in self._nodes.values() if isinstance(each.work, TriggerWork)]
        if len(triggers) == 1:
            return triggers[0]
        message = "start_node is missing, and there is not exactly one trigger node"
        self._complain("missing_key", message, hint='for example "start_node": "start"')
        return None

    def check(self, start: str) -> None:
        """Every edge leads somewhere, every node is reached, every cycle has a bound, and a
        branch stays to itself."""
        if not self._edges_lead():
            return
        self._all_reached(start)
        self._cycles_are_bound()
        self._branches_stay(start)

    def _edges_lead(self) -> bool:
        good = True
        for node in self._nodes.values():
            for name, target, loc in self._ways_of(node):
                if target in self._nodes:
                    continue
                good = False
                self._complain(
                    "unknown_node",
                    f"node {shown(node.id)}: {name} leads to {shown(target)}, which is no node",
                    loc,
                    hint=suggestion(target, self._nodes),
                )
        return good

    def _ways_of(self, node: Node) -> Iterator[tuple[str, str, Loc]]:
        at = self._places[node.id]
        for name, target in node.edges:
            yield name, target, (*at, name)
        if isinstance(node.work, ParallelWork):
            for number, target in enumerate(node.work.branches):
                yield f"branches[{number}]", target, (*at, "branches", number)

    def _all_reached(self, start: str) -> None:
        reached = self._reached([start])
        for node in self._nodes.values():
            # Several triggers may stand side by side: a run enters at the one that fits.
            if node.id not in reached and isinstance(node.work, TriggerWork):
                reached |= self._reached([node.id])
        for node in self._nodes.values():
            if node.id not in reached:
                message = f"node {shown(node.id)} is never reached"
                hint = "lead an edge to it, or take it away"
                self._complain("unreachable_node", message, self._places[node.id], hint=hint)

    def _reached(self, starts: Iterable[str]) -> set[str]:
        waiting, found = list(starts), set[str]()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._nodes[name].leads_to()
        return found

    def _cycles_are_bound(self) -> None:
        """Without the nodes that have a bound, no way may come back to where it was."""
        done: set[str] = set()
        for first in self._nodes:
            way: dict[str, int] = {}
            stack = [(first, iter(self._free_ways(first)))] if first not in done else []
            way[first] = 0
            while stack:
                name, rest = stack[-1]
                target = next(rest, None)
                if target is None:
                    stack.pop()
                    done.add(name)
                    way.pop(name, None)
                elif target in way and self._nodes[target].visits is None:
                    self._tell_cycle([each for each, _ in stack[way[target] :]])
                    return
                elif target not in done and target not in way:
                    way[target] = len(stack)
                    stack.append((target, iter(self._free_ways(target))))

    def _free_ways(self, name: str) -> tuple[str, ...]:
        node = self._nodes[name]
        return () if node.visits is not None else node.leads_to()

    def _tell_cycle(self, names: list[str]) -> None:
        shown_way = " → ".join((*names[:8], *(["…"] if len(names) > 8 else []), names[0]))
        message = f"node {shown(names[0])}: the cycle {shown_way} has no bound"
        hint = 'say "max_visits" at one of its nodes'
        self._complain("endless_cycle", message, self._places[names[0]], hint=hint)

    def _branches_stay(self, start: str) -> None:
        """A branch ends by itself: it shares no node with another, with the ways outside, or
        with what follows, and it holds nothing that waits outside a slot."""
        for node in self._nodes.values():
            if not isinstance(node.work, ParallelWork):
                continue
            at = self._places[node.id]
            after = self._reached(target for _, target in node.edges)
            taken: dict[str, int] = {}
            for number, branch in enumerate(node.work.branches):
                loc = (*at, "branches", number)
                inside = self._reached([branch])
                common = sorted((inside & (after | taken.keys())) | (inside & {start, node.id}))
                if common:
                    message = f"node {shown(node.id)}: branch {shown(branch)} runs into "
                    message += f"{shown(common[0])}, which is not its own"
                    hint = "end the branch before it; onSuccess follows when all have ended"
                    self._complain("shared_branch", message, loc, hint=hint)
                taken |= dict.fromkeys(inside, number)
                for each in sorted(inside):
                    if isinstance(self._nodes[each].work, WaitWork | ApprovalWork):
                        message = f"node {shown(each)} waits within a branch of {shown(node.id)}"
                        hint = "wait before the branches, or after them"
                        self._complain("waits_in_branch", message, self._places[each], hint=hint)
