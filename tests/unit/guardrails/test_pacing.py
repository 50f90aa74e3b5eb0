import json
from datetime import timedelta

import pytest

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain.workspace import AutomationState, Snapshot, WorkspaceSettings
from amodal_rt.guardrails.pacing import FIRST, LONGEST, LONGEST_NAMED, Pacing, paced, starting
from amodal_rt.testing.clock import FakeClock


def _snapshot(**automations: list[str] | None) -> Snapshot:
    states: dict[str, AutomationState] = {}
    for name, models in automations.items():
        file = {"title": name, "prompt": "x"} if models else {"title": name, "workflow": {
            "kind": "WorkflowGraph", "version": 1, "name": "w", "start_node": "s",
            "nodes": [{"kind": "trigger", "id": "s"}]}}  # fmt: skip
        if models:
            file["model"] = models  # pyright: ignore[reportArgumentType]
        parsed = parse_automation(
            json.dumps(file).encode(), file=f"automations/{name}.json",
            settings=WorkspaceSettings(), read_prompt=str,
        )  # fmt: skip
        assert parsed.definition, parsed.problems
        states[name] = AutomationState(name=name, file="f", definition=parsed.definition)
    return Snapshot(version=1, automations=states)


SLOW, QUICK = "openai:slow", "anthropic:quick"


def test_only_what_asks_that_model_waits_and_only_while_no_other_serves_it() -> None:
    clock = FakeClock()
    pacing = Pacing(clock)
    files = _snapshot(one=[SLOW], two=[SLOW, QUICK], three=[QUICK], flow=None)

    until = pacing.slow(SLOW, seconds=30)

    assert until == clock.now() + timedelta(seconds=30)
    assert pacing.held(files, "one") == (SLOW, until)
    assert [pacing.held(files, each) for each in ("two", "three", "flow", "nobody")] == [None] * 4
    assert pacing.next_at() == until


def test_with_all_its_models_slowed_it_waits_for_the_first() -> None:
    pacing = Pacing(FakeClock())
    pacing.slow(SLOW, seconds=90)
    sooner = pacing.slow(QUICK, seconds=20)

    assert pacing.held(_snapshot(two=[SLOW, QUICK]), "two") == (QUICK, sooner)


async def _over() -> tuple[FakeClock, Pacing, Snapshot]:
    """Two automations of one model, which was left alone until now."""
    clock = FakeClock()
    pacing = Pacing(clock)
    pacing.slow(SLOW, seconds=30)
    await clock.advance(30)
    return clock, pacing, _snapshot(one=[SLOW], two=[SLOW])


async def test_when_the_time_is_over_one_asks_first_and_the_others_after_an_answer() -> None:
    _, pacing, files = await _over()

    assert pacing.may_start(files, "one")
    assert pacing.may_start(files, "one")
    assert not pacing.may_start(files, "two")
    assert pacing.held(files, "two") is not None
    pacing.answered(SLOW)
    assert pacing.may_start(files, "two")


async def test_one_that_never_answers_gives_its_turn_to_the_next() -> None:
    clock, pacing, files = await _over()
    assert pacing.may_start(files, "one")
    await clock.advance(59)
    assert (pacing.may_start(files, "one"), pacing.may_start(files, "two")) == (True, False)

    await clock.advance(1)

    assert pacing.may_start(files, "two")


async def test_a_question_gives_nobody_the_turn() -> None:
    _, pacing, files = await _over()

    can_run = paced(files.can_run, pacing, files)

    assert [can_run("one", False), can_run("two", False), can_run("one", False)] == [True] * 3
    assert [pacing.held(files, each) for each in ("one", "two")] == [None, None]
    assert pacing.may_start(files, "two")


async def test_without_a_word_of_the_provider_the_pauses_double_up_to_a_bound() -> None:
    clock = FakeClock()
    pacing = Pacing(clock)
    waits: list[timedelta] = []
    for _ in range(9):
        until = pacing.slow(SLOW, seconds=None)
        # Those that were under way are told the same, and count once.
        assert pacing.slow(SLOW, seconds=None) == until
        waits.append(until - clock.now())
        await clock.advance(waits[-1].total_seconds())

    assert waits[:3] == [FIRST, FIRST * 2, FIRST * 4]
    assert waits[-1] == LONGEST


@pytest.mark.parametrize(
    ("seconds", "wait"), [(0, timedelta(seconds=1)), (90, timedelta(seconds=90)),
                          (1e9, LONGEST_NAMED)],
)  # fmt: skip
def test_a_named_time_is_kept_within_bounds(seconds: float, wait: timedelta) -> None:
    clock = FakeClock()

    assert Pacing(clock).slow(SLOW, seconds=seconds) == clock.now() + wait


def test_a_rehearsal_asks_no_provider_and_so_waits_for_none() -> None:
    pacing = Pacing(FakeClock())
    files = _snapshot(one=[SLOW])
    pacing.slow(SLOW, seconds=30)

    for can_run in (paced(files.can_run, pacing, files), starting(files.can_run, pacing, files)):
        assert (can_run("one", False), can_run("one", True)) == (False, True)
