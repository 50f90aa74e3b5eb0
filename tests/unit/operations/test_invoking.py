"""Runs that programs invoke: who may, with what, and once for one key."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from desk import ADA, NOW, Desk, cron, definition, live

from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.identity import Identities
from amodal_rt.domain.invocation import Invocation, InvokeAuth
from amodal_rt.domain.trigger import Trigger
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import AmodalError
from amodal_rt.operations.invoking import Invoking
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import RunFilter

RULES = Invocation(
    schema={"properties": {"n": {"type": "integer"}}, "required": ["n"]},
    prefills={"team": "ops"},
)


@pytest.fixture
def invoking(desk: Desk) -> Invoking:
    return Invoking(
        desk.files,
        desk.ledger,
        desk.facts,
        desk.starting,
        signals=desk.signals,
        clock=desk.clock,
        ids=desk.ids,
    )


def add(desk: Desk, *triggers: Trigger, **more: Any) -> None:
    more = {"invocation": RULES, **more}
    desk.files.add(live(definition("digest", *triggers, **more)))


async def fault(invoking: Invoking, **keys: Any) -> tuple[str, str]:
    keys = {"payload": {"n": 1}, **keys}
    with pytest.raises(AmodalError) as caught:
        await invoking.invoke(ADA, "digest", **keys)
    return caught.value.kind, caught.value.code


async def rows(desk: Desk) -> int:
    return len(await desk.ledger.list_runs(RunFilter()))


async def test_a_run_is_given_the_payload_with_what_is_locked(
    desk: Desk, invoking: Invoking
) -> None:
    add(desk)
    made = await invoking.invoke(ADA, "digest", payload={"n": 1})
    run = await desk.ledger.find_run(str(made["run_id"]))
    assert run is not None
    assert run.payload == {"n": 1, "team": "ops"}
    assert (made["trigger"], made["status"], run.requester) == ("invoked", "pending", "ada")


WRONG: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "misfit": ({"payload": {"n": "1"}}, ("invalid", "payload_misfit")),
    "nothing": ({"payload": None}, ("invalid", "payload_misfit")),
    "locked": ({"payload": {"n": 1, "team": "dev"}}, ("invalid", "payload_locked")),
    "large": ({"payload": {"n": 1, "x": "x" * 2_000_000}}, ("invalid", "payload_too_large")),
    "participants": ({"participants": {"a": "main"}}, ("invalid", "no_participants")),
    "no key": ({"idempotency_key": ""}, ("invalid", "bad_idempotency_key")),
    "long key": ({"idempotency_key": "k" * 257}, ("invalid", "bad_idempotency_key")),
    "odd key": ({"idempotency_key": "a\nb"}, ("invalid", "bad_idempotency_key")),
}


@pytest.mark.parametrize(("keys", "said"), WRONG.values(), ids=WRONG.keys())
async def test_what_the_file_does_not_let_in_starts_nothing(
    desk: Desk, invoking: Invoking, keys: dict[str, Any], said: tuple[str, str]
) -> None:
    add(desk)
    assert await fault(invoking, **keys) == said
    assert await rows(desk) == 0


@pytest.mark.parametrize("auth", [None, *InvokeAuth])
async def test_a_caller_shows_what_the_file_asks_for(
    desk: Desk, invoking: Invoking, auth: InvokeAuth | None
) -> None:
    add(desk, invocation=Invocation(auth=auth))
    for shown in (None, *InvokeAuth):
        if auth in (None, shown) or shown is None:
            assert await invoking.invoke(ADA, "digest", shown=shown)
        else:
            assert await fault(invoking, shown=shown) == ("denied", "wrong_invoke_auth")


async def test_only_what_is_meant_to_be_invoked_can_be(desk: Desk, invoking: Invoking) -> None:
    add(desk, cron(), invocation=None)
    assert await fault(invoking) == ("conflict", "not_invoked")
    add(desk, cron())
    assert await invoking.invoke(ADA, "digest", payload={"n": 1})
    add(desk, invocation=None)
    assert await invoking.invoke(ADA, "digest", payload=[1])


async def test_nobody_invokes_what_is_paused_or_a_draft(desk: Desk, invoking: Invoking) -> None:
    add(desk, status=Lifecycle.DRAFT)
    assert await fault(invoking) == ("conflict", "automation_paused")
    add(desk)
    await desk.automations.pause(ADA, "digest")
    assert await fault(invoking) == ("conflict", "automation_paused")
    await desk.automations.resume(ADA, "digest")
    assert await invoking.invoke(ADA, "digest", payload={"n": 1})


async def test_nobody_invokes_what_a_stranger_made(desk: Desk, invoking: Invoking) -> None:
    add(desk, created_by="eve")
    snapshot = desk.files.current
    desk.files.current = Snapshot(
        version=9, automations=snapshot.automations, identities=Identities(known=True)
    )
    assert await fault(invoking) == ("conflict", "creator_invalid")


async def test_one_key_is_one_run_and_one_payload(desk: Desk, invoking: Invoking) -> None:
    add(desk)

    async def again(payload: object, key: str = "k") -> Document:
        return await invoking.invoke(ADA, "digest", payload=payload, idempotency_key=key)

    first = await again({"n": 1, "x": {"a": 1, "b": 2}})
    same = await again({"x": {"b": 2, "a": 1}, "team": "ops", "n": 1})
    assert same["run_id"] == first["run_id"]
    assert await fault(invoking, payload={"n": 2}, idempotency_key="k") == (
        "conflict",
        "idempotency_mismatch",
    )
    assert (await again({"n": 2}, key="other"))["run_id"] != first["run_id"]
    assert await rows(desk) == 2


async def test_callers_at_once_get_one_run(desk: Desk, invoking: Invoking) -> None:
    add(desk)
    calls = (
        invoking.invoke(ADA, "digest", payload={"n": 1}, idempotency_key="k") for _ in range(10)
    )
    found = await asyncio.gather(*calls)
    assert len({each["run_id"] for each in found}) == 1
    assert {each["status"] for each in found} == {"pending"}


async def test_a_key_is_free_again_after_a_week(desk: Desk, invoking: Invoking) -> None:
    add(desk)
    first = await invoking.invoke(ADA, "digest", payload={"n": 1}, idempotency_key="k")
    desk.clock.offset = timedelta(days=7, seconds=1)
    assert desk.clock.now() > NOW
    second = await invoking.invoke(ADA, "digest", payload={"n": 2}, idempotency_key="k")
    assert second["run_id"] != first["run_id"]
