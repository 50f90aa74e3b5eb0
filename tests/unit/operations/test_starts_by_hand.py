"""What a person starts by hand, and what of its rules holds for them."""

import pytest
from desk import ADA, Desk, cron, definition, live

from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.invocation import Invocation, InvokeAuth
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.errors import DeniedError, InvalidError
from amodal_rt.ports import RUNS_PENDING

BROKEN = Problem(
    file="automations/a.json", line=3, column=5, code="unknown_key", message="no such key"
)
UNSET = Problem(file="automations/a.json", code="env_missing", message="TOKEN is not set")


@pytest.mark.parametrize("status", [Lifecycle.ACTIVE, Lifecycle.DRAFT, Lifecycle.PAUSED])
async def test_a_person_may_start_it_in_any_status(desk: Desk, status: Lifecycle) -> None:
    desk.files.add(live(definition("a", cron(), status=status)))

    with desk.signals.listen(RUNS_PENDING) as told:
        row = await desk.automations.trigger(ADA, "a", payload={"n": 1}, rehearse=True)
        await told()

    found = await desk.ledger.find_run(str(row["run_id"]))
    assert found is not None
    assert row["session_id"] == f"auto_{row['run_id']}"
    assert (row["status"], row["trigger"], row["requester"]) == ("pending", "manual", "ada")
    assert (found.payload, found.rehearse, found.actor, found.door) == (
        {"n": 1},
        True,
        "ada",
        "cli",
    )


async def test_a_paused_one_starts_by_hand(desk: Desk) -> None:
    desk.files.add(live(definition("a", cron())))
    await desk.automations.pause(ADA, "a")

    assert (await desk.automations.trigger(ADA, "a"))["status"] == "pending"


async def test_a_payload_too_deep_to_be_written_down_starts_nothing(desk: Desk) -> None:
    desk.files.add(live(definition("a", cron())))
    payload: list[object] = []
    for _ in range(64):
        payload = [payload]

    with pytest.raises(InvalidError) as caught:
        await desk.automations.trigger(ADA, "a", payload=payload)

    assert caught.value.code == "bad_payload"
    assert (await desk.automations.trigger(ADA, "a", payload=payload[0]))["status"] == "pending"


async def test_the_last_good_version_of_a_broken_file_starts(desk: Desk) -> None:
    good = definition("a", cron())
    desk.files.add(
        AutomationState(name="a", file=good.file, definition=good, problems=(BROKEN,), stale=True)
    )

    run = await desk.automations.trigger(ADA, "a")

    assert run["definition"] == good.hash


@pytest.mark.parametrize(
    "state",
    [
        AutomationState(name="a", file="automations/a.json", problems=(BROKEN,)),
        AutomationState(
            name="a", file="automations/a.json", definition=definition("a"), blocked=(UNSET,)
        ),
    ],
)
async def test_what_cannot_run_says_why(desk: Desk, state: AutomationState) -> None:
    desk.files.add(state)

    with pytest.raises(InvalidError) as caught:
        await desk.automations.trigger(ADA, "a")

    assert caught.value.code == (*state.blocked, *state.problems)[0].code
    assert "automations/a.json" in caught.value.message


RULES = Invocation(
    schema={"properties": {"n": {"type": "integer"}}, "required": ["n"]},
    prefills={"team": "ops"},
)


async def test_what_is_locked_for_callers_is_locked_for_a_run_by_hand(desk: Desk) -> None:
    desk.files.add(live(definition("a", invocation=RULES)))

    made = await desk.automations.trigger(ADA, "a", payload={"n": 1})
    run = await desk.ledger.find_run(str(made["run_id"]))
    codes = list[str]()
    for payload in ({"n": 1, "team": "shop"}, {"n": "one"}, None):
        with pytest.raises(InvalidError) as caught:
            await desk.automations.trigger(ADA, "a", payload=payload)
        codes.append(caught.value.code)

    assert run is not None
    assert run.payload == {"n": 1, "team": "ops"}
    assert codes == ["payload_locked", "payload_misfit", "payload_misfit"]


async def test_a_run_by_hand_of_what_starts_by_itself_needs_no_payload(desk: Desk) -> None:
    desk.files.add(live(definition("a", cron(), invocation=RULES)))

    made = await desk.automations.trigger(ADA, "a")
    run = await desk.ledger.find_run(str(made["run_id"]))

    assert run is not None
    assert run.payload is None


async def test_who_may_not_invoke_may_not_start_by_hand(desk: Desk) -> None:
    desk.files.add(live(definition("a", invocation=Invocation(auth=InvokeAuth.USER))))

    with pytest.raises(DeniedError) as caught:
        await desk.automations.trigger(ADA, "a", shown=InvokeAuth.SECRET_KEY)
    operated = await desk.automations.trigger(ADA, "a", shown=None)

    assert caught.value.code == "wrong_invoke_auth"
    assert operated["status"] == "pending"
