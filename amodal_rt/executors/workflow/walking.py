"""The walk through a graph: from node to node, what failed again or elsewhere, to an end."""

import asyncio
import json
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from amodal_rt.clock import iso
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import FailedReason
from amodal_rt.domain.workflow import Node, ParallelWork, ScriptWork, WorkflowWork
from amodal_rt.errors import AmodalError, ConflictError
from amodal_rt.executors.acting.past import GapError, gap
from amodal_rt.executors.acting.session import Effects
from amodal_rt.executors.workflow.nodes import perform
from amodal_rt.executors.workflow.session import WorkflowSession
from amodal_rt.executors.workflow.trail import PastNode
from amodal_rt.executors.workflow.walk import (
    TOO_LARGE,
    VALUE_BYTES,
    AwaitingError,
    Done,
    NodeError,
    Visit,
    Walk,
)
from amodal_rt.guardrails.untrusted import plain_line

MOST_VISITS = 100_000
"""How many nodes one run may come by, whatever its graph says."""
_SCRIPT_OVERDUE = "Script execution timed out"
"""As its sandbox says it, whose own clock counts less."""
_LONGEST_BACKOFF = timedelta(hours=1)


class Walker:
    """Walks one run. What stands in its journal is not done again."""

    def __init__(self, run: WorkflowSession) -> None:
        self._run = run

    async def walk(self, walk: Walk, start: str) -> object:
        """The value of the last node. Raises NodeError where a node failed that leads nowhere,
        ParkedError, AwaitingError, GapError and CutOffError for what ends the run here."""
        value: object = None
        current: str | None = start
        while current is not None:
            node = walk.graph.nodes.get(current)
            if node is None:
                raise gap(f"there is no node {current} any more")
            try:
                value, current = await self._visit(walk, node)
            except NodeError as error:
                message = f'node "{node.id}": {error.message}'
                raise NodeError(message, reason=error.reason, lasting=error.lasting) from None
        return value

    async def _visit(self, walk: Walk, node: Node) -> tuple[object, str | None]:
        """What the node gave, and where it leads. Raises NodeError where it leads nowhere."""
        self._run.visits += 1
        if self._run.visits > MOST_VISITS:
            raise NodeError(f"this run has come by {MOST_VISITS:,} nodes")
        step = walk.step(node)
        past = self._run.trail.node(step)
        if past.finished is not None:
            return await self._recall(walk, node, step, past)
        if past.failed is not None:
            self._count_again(walk, step)
            error = NodeError(
                str(past.failed.get("error", "")),
                reason=FailedReason(str(past.failed.get("reason", FailedReason.ERROR))),
            )
            return _led_on(walk, node, error, _text_or_none(past.failed.get("next")))
        return await self._try(walk, node, step, past)

    async def _recall(
        self, walk: Walk, node: Node, step: str, past: PastNode
    ) -> tuple[object, str | None]:
        found = past.finished or {}
        value = found.get("value")
        if isinstance(node.work, ParallelWork):
            # Its branches stand in the journal too; what they gave is seen by what follows.
            await perform(self._run, self._visit_of(walk, node, step, past), self.walk)
        else:
            self._count_again(walk, step)
        walk.inputs[node.id] = value
        return value, _text_or_none(found.get("next"))

    def _count_again(self, walk: Walk, step: str) -> None:
        """What wrote in an earlier attempt is not tried again in this one. The run knows."""
        if walk.effects.outer is not None:
            walk.effects.recall(self._run.trail.writes_below(step))

    async def _try(
        self, walk: Walk, node: Node, step: str, past: PastNode
    ) -> tuple[object, str | None]:
        visit = self._visit_of(walk, node, step, past)
        while True:
            number = visit.number
            facts = self._facts(node)
            more = {"attempt": number} if number > 1 else {}
            await self._post(EntryType.NODE_STARTED, visit, {**facts, **more})
            try:
                done = await self._bounded(visit)
                self._go_on()
                self._check(done)
            except NodeError as error:
                self._go_on()
                again = await self._failed(visit, error)
                if again is None:
                    return _led_on(walk, node, error, node.edges.on_error)
                visit = again
            else:
                return await self._finished(visit, done)

    def _go_on(self) -> None:
        """Raise AwaitingError once a write of the run waits for a person. Whatever the graph says
        of failures: what it was to go on with is not there."""
        if self._run.acting.effects.whole.parked:
            raise AwaitingError

    def _facts(self, node: Node) -> dict[str, object]:
        facts: dict[str, object] = {"kind": node.kind.value, "node": node.id}
        if isinstance(node.work, WorkflowWork):
            found = self._run.others.get(node.work.workflow)
            facts |= {"workflow": node.work.workflow, "hash": found.hash if found else None}
        return facts

    def _visit_of(self, walk: Walk, node: Node, step: str, past: PastNode) -> Visit:
        effects = Effects(outer=walk.effects)
        return Visit(
            walk=walk, node=node, step=step, number=past.tries + 1, past=past, effects=effects
        )

    async def _bounded(self, visit: Visit) -> Done:
        """What the node gave, within its time. Raises NodeError for whatever kept it from it."""
        work = perform(self._run, visit, self.walk)
        timeout = visit.node.timeout
        try:
            if timeout is None:
                return await work
            return await self._in_time(visit, work, timeout.total_seconds())
        except (GapError, NodeError):
            raise
        except AmodalError as error:
            if isinstance(error, ConflictError) and error.code in {"fenced", "run_ended"}:
                raise
            message = plain_line(self._run.mask(error.message), 500)
            raise NodeError(message) from None

    async def _in_time(self, visit: Visit, work: Coroutine[Any, Any, Done], seconds: float) -> Done:
        task = asyncio.ensure_future(work)
        timer = asyncio.ensure_future(self._run.acting.services.clock.sleep(seconds))
        try:
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                # Said before it is cancelled: a write that is under way is then given up.
                visit.effects.overdue = True
                task.cancel()
                await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            timer.cancel()
        if task.cancelled():
            # One word for it, whether its own clock or the node's was faster.
            script = isinstance(visit.node.work, ScriptWork)
            raise NodeError(_SCRIPT_OVERDUE if script else f"not finished within {seconds:g} s")
        return task.result()

    def _check(self, done: Done) -> None:
        """Raise NodeError for a value that the journal does not take."""
        try:
            size = len(json.dumps(done.value, allow_nan=False).encode("utf-8", "replace"))
        except (TypeError, ValueError, RecursionError):
            raise _refused(done, "its value is no JSON") from None
        if size > VALUE_BYTES:
            message = f"{TOO_LARGE}: {size:,} bytes, and {VALUE_BYTES:,} are allowed"
            raise _refused(done, message)

    async def _finished(self, visit: Visit, done: Done) -> tuple[object, str | None]:
        walk, node = visit.walk, visit.node
        value = self._run.mask(done.value)
        following: str | None = getattr(node.edges, done.edge)
        facts: dict[str, object] = {
            "node": node.id,
            "value": value,
            "edge": done.edge,
            "next": following,
        }
        facts |= self._heard(visit) | _consumed(done)
        await self._post(EntryType.NODE_FINISHED, visit, facts)
        walk.inputs[node.id] = value
        return value, following

    async def _failed(self, visit: Visit, error: NodeError) -> Visit | None:
        """The next try, its pause over; None where there is none."""
        node = visit.node
        again = visit.number <= node.retry.attempts and visit.effects.writes == 0
        again = again and not error.lasting
        facts: dict[str, object] = {
            "node": node.id,
            "error": error.message,
            "attempt": visit.number,
        }
        facts |= self._heard(visit) | _consumed(error)
        if not again:
            if error.reason is not FailedReason.ERROR:
                facts["reason"] = error.reason.value
            facts["next"] = node.edges.on_error
            await self._post(EntryType.NODE_FAILED, visit, facts)
            return None
        clock = self._run.acting.services.clock
        pause = min(node.retry.backoff * 2 ** (visit.number - 1), _LONGEST_BACKOFF)
        facts["retry_at"] = iso(clock.now() + pause)
        await self._post(EntryType.NODE_FAILED, visit, facts)
        await self._run.rows.settle()
        await clock.sleep(pause.total_seconds())
        effects = Effects(outer=visit.walk.effects)
        return Visit(
            walk=visit.walk,
            node=node,
            step=visit.step,
            number=visit.number + 1,
            past=visit.past,
            effects=effects,
        )

    def _heard(self, visit: Visit) -> dict[str, object]:
        """What its script printed, for the journal and for the run's output."""
        printed = [self._run.mask(each) for each in visit.printed]
        self._run.output += printed
        return {"printed": printed} if printed else {}

    async def _post(self, type: EntryType, visit: Visit, facts: dict[str, object]) -> None:
        await self._run.rows.post(type, visit.step, visit.walk.parent, facts)


def _led_on(
    walk: Walk, node: Node, error: NodeError, following: str | None
) -> tuple[object, str | None]:
    """Where the failure leads, told of it. Raises the failure where it leads nowhere."""
    if following is None:
        raise error
    value = {"error": {"message": error.message, "node": node.id}}
    walk.inputs[node.id] = value
    return value, following


def _refused(done: Done, message: str) -> NodeError:
    return NodeError(message, usage=done.usage, model=done.model)


def _consumed(ended: Done | NodeError) -> dict[str, object]:
    """What an agent used, for the journal."""
    if ended.usage is None:
        return {}
    return {"usage": ended.usage.document(), "model": ended.model}


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
