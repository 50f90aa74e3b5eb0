"""What becomes of nodes that fail: elsewhere, again, in time, never twice what may be done once."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from workflow_house import Ran, WorkflowHouse, chain, graph, node

from amodal_rt.domain.automation import WriteLimits
from amodal_rt.domain.connection import Store
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.errors import InvalidError
from amodal_rt.executors.acting import request_tool
from amodal_rt.executors.workflow.walk import VALUE_BYTES
from amodal_rt.testing.model_server import Turn

START = {"kind": "trigger", "id": "start"}
QUICK = {"attempts": 2, "backoff_seconds": 0.01}


def get(id: str = "get", **keys: Any) -> dict[str, Any]:
    return node("request", id, connection="crm", endpoint="/x", **keys)


def post(id: str = "post", **keys: Any) -> dict[str, Any]:
    return get(id, method="POST", data={}, **keys)


def broken(status: int = 500) -> web.Response:
    return web.Response(status=status, text="no")


@pytest.fixture(autouse=True)
def crm(flows: WorkflowHouse) -> None:
    flows.rest()


async def test_what_a_script_printed_before_it_failed_is_kept(flows: WorkflowHouse) -> None:
    async def failing(names: Any, functions: Any) -> Ran:
        return Ran(InvalidError("no"), (f"try {len(flows.sandbox.ran)}",))

    flows.sandbox.scripts["tidy"] = failing
    script = {"kind": "Script", "id": "tidy", "script": "1"}
    work = graph(dict(START, on_success="go"), node("script", "go", script="tidy", retry=QUICK),
                 data=[script])  # fmt: skip

    outcome = await flows.walk(work)

    assert (outcome.status, outcome.output) == (RunStatus.FAILED, ("try 1", "try 2", "try 3"))
    failures = [each.data for each in flows.entries if each.type is EntryType.NODE_FAILED]
    assert [each["printed"] for each in failures] == [["try 1"], ["try 2"], ["try 3"]]


async def test_a_failure_that_leads_nowhere_is_the_runs(flows: WorkflowHouse) -> None:
    flows.service.answers = [broken(404)]

    outcome = await flows.walk(chain(dict(START), get(), node("transform", "never", value=1)))

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, "error")
    assert (outcome.error or "").startswith('node "get": HTTP 404')
    failed = flows.entry(EntryType.NODE_FAILED, "get")
    assert (failed.data["attempt"], failed.data["next"]) == (1, None)
    assert "never" not in flows.values()


async def test_a_failure_leads_on_and_is_told_of(flows: WorkflowHouse) -> None:
    flows.service.answers = [broken()]
    work = graph(
        get(on_error="mend"),
        node(
            "transform", "mend", value="{{ inputs.get.error.node }}: {{ inputs.get.error.message }}"
        ),
    )

    outcome = await flows.walk(work)

    assert outcome.status is RunStatus.COMPLETED
    assert str(outcome.payload).startswith("get: HTTP 500")


async def test_a_template_that_finds_nothing_fails_its_node(flows: WorkflowHouse) -> None:
    outcome = await flows.walk(chain(dict(START), node("transform", "a", value="{{ inputs.no }}")))

    assert "there is no inputs.no" in (outcome.error or "")


async def test_a_failed_node_is_tried_again_with_growing_pauses(flows: WorkflowHouse) -> None:
    flows.service.answers = [broken(), broken(503)]

    outcome = await flows.walk(chain(dict(START), get(retry=QUICK)))

    assert outcome.status is RunStatus.COMPLETED
    assert flows.nodes(EntryType.TOOL_STARTED) == [
        ("tool.started", "get/request"),
        ("tool.started", "get~2/request"),
        ("tool.started", "get~3/request"),
    ]
    assert [each.data["attempt"] for each in flows.of(EntryType.NODE_FAILED)] == [1, 2]
    assert all("retry_at" in each.data for each in flows.of(EntryType.NODE_FAILED))


async def test_after_its_last_try_it_leads_on(flows: WorkflowHouse) -> None:
    flows.service.answers = [broken(), broken(), broken()]
    work = graph(get(retry=QUICK, on_error="mend"), node("transform", "mend", value="mended"))

    outcome = await flows.walk(work)

    assert outcome.payload == "mended"
    assert len(flows.service.requests) == 3


async def test_a_node_that_began_a_write_is_never_tried_again(flows: WorkflowHouse) -> None:
    flows.service.answers = [broken()]

    outcome = await flows.walk(chain(dict(START), post(retry=QUICK)), write_enabled=True)

    assert outcome.status is RunStatus.FAILED
    assert outcome.wrote
    assert len(flows.service.requests) == 1


async def test_a_script_that_wrote_before_it_failed_is_never_tried_again(
    flows: WorkflowHouse,
) -> None:
    async def work(names: Any, functions: Any) -> object:
        await functions["request"]("crm", "POST", "/x")
        return await functions["request"]("none", "GET", "/x")

    flows.sandbox.scripts["s"] = work
    script = {"kind": "Script", "id": "s", "script": "1"}

    await flows.walk(
        graph(node("script", "s", script="s", retry=QUICK), data=[script]), write_enabled=True
    )

    assert len(flows.service.requests) == 1


async def test_a_node_is_given_up_when_its_time_is_over(flows: WorkflowHouse) -> None:
    flows.service.answers = [5.0]
    work = graph(get(timeout_seconds=0.2, on_error="mend"), node("transform", "mend", value="late"))

    outcome = await flows.walk(work)

    assert outcome.payload == "late"
    assert flows.entry(EntryType.NODE_FAILED, "get").data["error"] == "not finished within 0.2 s"


@pytest.mark.parametrize(
    ("own", "told"), [({}, "no answer within 0.1 seconds"), ({"timeout_seconds": 20}, None)]
)
async def test_a_node_that_says_how_long_it_may_take_waits_that_long(
    flows: WorkflowHouse, monkeypatch: pytest.MonkeyPatch, own: dict[str, Any], told: str | None
) -> None:
    monkeypatch.setattr(request_tool, "SECONDS", 0.1)
    flows.service.answers = [0.5]

    outcome = await flows.walk(graph(get(**own)))

    assert (outcome.status is RunStatus.COMPLETED) is (told is None)
    assert told is None or told in (outcome.error or "")


async def test_a_script_that_is_given_up_is_said_to_have_timed_out(flows: WorkflowHouse) -> None:
    async def slow(names: Any, functions: Any) -> None:
        await asyncio.sleep(5)

    flows.sandbox.scripts["slow"] = slow
    script = {"kind": "Script", "id": "slow", "script": "1"}
    work = graph(node("script", "go", script="slow", timeout_seconds=0.1), data=[script])

    outcome = await flows.walk(work)

    assert outcome.error == 'node "go": Script execution timed out'


async def test_a_write_given_up_in_the_middle_is_unknown_and_the_run_goes_on(
    flows: WorkflowHouse,
) -> None:
    flows.service.answers = [5.0]
    work = graph(
        post(timeout_seconds=0.2, retry=QUICK, on_error="mend"),
        node("transform", "mend", value="look first"),
    )

    outcome = await flows.walk(work, write_enabled=True)

    assert outcome.payload == "look first"
    assert outcome.wrote
    failed = flows.entry(EntryType.WRITE_FAILED, "post/request")
    assert failed.data["outcome"] == "unknown"
    assert len(flows.service.requests) == 1


async def test_branches_are_given_up_together(flows: WorkflowHouse) -> None:
    flows.service.answers = [5.0, 5.0]
    work = graph(
        node("parallel", "both", branches=["a", "b"], timeout_seconds=0.3, on_error="mend"),
        post("a"),
        get("b"),
        node("transform", "mend", value="late"),
    )

    outcome = await flows.walk(work, write_enabled=True)

    assert outcome.payload == "late"
    assert flows.nodes(EntryType.WRITE_FAILED) == [("write.failed", "a/request")]


async def test_branches_end_before_one_that_failed_fails_the_node(flows: WorkflowHouse) -> None:
    flows.service.answers = [broken()]
    work = graph(
        node("parallel", "both", branches=["a", "b"]),
        get("a"),
        node("transform", "b", "c", value=1),
        node("transform", "c", value=2),
    )

    outcome = await flows.walk(work)

    assert (outcome.error or "").startswith('node "both": branch "a": node "a": HTTP 500')
    assert flows.values() == {"b": 1, "c": 2}


async def test_a_value_that_the_journal_does_not_take_fails_the_node(flows: WorkflowHouse) -> None:
    large = "x" * (VALUE_BYTES // 2)
    work = chain(dict(START), node("transform", "twice", value=["{{ $ }}", "{{ $ }}"]))

    outcome = await flows.walk(work, payload=large)

    assert (outcome.error or "").startswith('node "twice": value_too_large: 262,1')


async def test_an_answer_that_is_too_large_fails_the_node_and_is_not_kept(
    flows: WorkflowHouse,
) -> None:
    flows.service.answers = [web.json_response({"rows": "x" * VALUE_BYTES})]

    outcome = await flows.walk(chain(dict(START), get()))

    assert "value_too_large" in (outcome.error or "")
    assert "xxxxxxxxxx" not in flows.journal_text()


async def test_a_cycle_ends_at_its_bound(flows: WorkflowHouse) -> None:
    again = node("transform", "again", "again", value="{{ payload }}", max_visits=3)

    outcome = await flows.walk(graph(again))

    assert outcome.error == 'node "again": visited more than 3 times (max_visits)'
    assert list(flows.values()) == ["again", "again#2", "again#3"]


async def test_a_cycle_is_left_when_its_condition_says_so(flows: WorkflowHouse) -> None:
    seen = Store(name="seen", hash="s", schema={})
    flows.stores["seen"] = seen
    counted = "{% if inputs.read %}{{ inputs.read }}x{% else %}x{% endif %}"
    work = graph(
        node("store", "read", "more", store="seen", action="get", key="k", max_visits=9),
        node("transform", "more", "keep", value=counted),
        node(
            "store",
            "keep",
            "enough",
            store="seen",
            action="put",
            key="k",
            value="{{ inputs.more }}",
        ),
        node("condition", "enough", filter={"inputs.more": "xxx"}, on_false="read"),
    )

    outcome = await flows.walk(work)

    assert (outcome.status, outcome.error) == (RunStatus.COMPLETED, None)
    assert flows.values()["more#3"] == "xxx"


async def test_an_agent_that_fails_gives_its_reason_and_what_it_used(flows: WorkflowHouse) -> None:
    flows.model.script(Turn(status=400))

    outcome = await flows.walk(chain(dict(START), node("agent", "think", prompt="x")))

    assert outcome.status is RunStatus.FAILED
    assert (outcome.error or "").startswith('node "think": ')


async def test_a_run_makes_no_more_writes_than_it_may(flows: WorkflowHouse) -> None:
    work = chain(dict(START), post("one"), post("two"), post("three"))

    outcome = await flows.walk(
        work, write_enabled=True, limits=flows.limits(writes=WriteLimits(per_run=2))
    )

    assert 'node "three": refused: this run has used its 2 writes' in (outcome.error or "")
    assert len(flows.service.requests) == 2


async def test_a_run_that_is_ended_in_the_middle_leaves_its_write_open(
    flows: WorkflowHouse,
) -> None:
    flows.service.answers = [5.0]
    context = await flows.context(flows.flow(chain(dict(START), post()), write_enabled=True))
    task = asyncio.ensure_future(flows.go(context))
    await until(lambda: len(flows.service.requests) == 1)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert flows.nodes(EntryType.WRITE_FAILED) == []
    again = await flows.go(await flows.again(context))
    assert isinstance(again, Outcome)
    assert (again.status, again.reason) == (RunStatus.FAILED, "interrupted")


async def until(done: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to it")


async def test_pauses_between_tries_double(flows: WorkflowHouse) -> None:
    flows.service.answers = [broken(), broken()]
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        # To let others have their turn is no pause.
        pauses.extend([seconds] if seconds else [])
        await asyncio.sleep(0)

    flows.clock.sleep = sleep
    await flows.walk(chain(dict(START), get(retry={"attempts": 2, "backoff_seconds": 3})))

    assert pauses == [timedelta(seconds=each).total_seconds() for each in (3, 6)]


@pytest.mark.parametrize("cut", [False, True])
async def test_branches_are_not_tried_again_once_one_of_them_wrote(
    flows: WorkflowHouse, cut: bool
) -> None:
    both = node("parallel", "both", branches=["a", "b"], retry=QUICK)
    data = [{"id": "none", "script": "1"}]
    work = graph(both, post("a"), node("script", "b", script="none"), data=data)
    context = await flows.context(flows.flow(work, write_enabled=True))
    if cut:
        # The write of the first branch stands; the process dies before the second one ends.
        gate = asyncio.Event()

        async def hangs(names: Any, functions: Any) -> object:
            await gate.wait()
            return None

        flows.sandbox.scripts["none"] = hangs
        task = asyncio.ensure_future(flows.go(context))
        while "a" not in flows.values():
            await asyncio.sleep(0.01)
            flows.entries = await flows.ledger.entries(context.run.run_id)
        task.cancel()
        await asyncio.wait({task})
        context = await flows.again(context)
        del flows.sandbox.scripts["none"]

    outcome = await flows.go(context)

    assert isinstance(outcome, Outcome)
    assert outcome.status is RunStatus.FAILED
    assert len(flows.service.requests) == 1
    assert len(flows.of(EntryType.NODE_FAILED)) == 2
