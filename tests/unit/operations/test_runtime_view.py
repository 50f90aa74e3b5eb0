"""Agents see the runtime as people do, without what would let them start it."""

import pytest
from desk import ADA, Desk, cron, definition, live, webhook

from amodal_rt.operations.runtime_view import LedgerRuntimeView


@pytest.fixture
def view(desk: Desk) -> LedgerRuntimeView:
    desk.files.add(live(definition("digest", cron())))
    desk.files.add(live(definition("hook", webhook())))
    return LedgerRuntimeView(desk.automations, desk.runs, desk.deliveries, clock=desk.clock)


@pytest.mark.parametrize("path", ["/automations", "/automations/hook"])
async def test_a_webhook_url_is_kept_from_agents(view: LedgerRuntimeView, path: str) -> None:
    status, document = await view.get(path, {})

    assert status == 200
    assert "/webhooks/" not in str(document)


async def test_runs_are_what_people_see(view: LedgerRuntimeView, desk: Desk) -> None:
    await desk.automations.trigger(ADA, "digest")

    status, runs = await view.get("/runs", {"automation": "digest", "limit": "5"})

    assert (status, runs) == (200, await desk.runs.list_all(ADA))


async def test_runs_of_the_last_day_alone_may_be_asked_for(
    view: LedgerRuntimeView, desk: Desk
) -> None:
    await desk.automations.trigger(ADA, "digest")

    status, runs = await view.get("/runs", {"since": "2026-03-01T12:00:01Z"})

    assert (status, runs) == (200, [])


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/runs/run_none", {}, 404, "run_not_found"),
        ("/automations/none", {}, 404, "automation_not_found"),
        ("/deliveries/msg_none", {}, 404, "delivery_not_found"),
        ("/secrets", {}, 404, "not_found"),
        ("/", {}, 404, "not_found"),
        ("/runs", {"limit": "many"}, 422, "bad_limit"),
        ("/runs", {"status": "done"}, 422, "bad_status"),
    ],
)
async def test_what_is_not_there_or_wrong_is_said_in_http(
    view: LedgerRuntimeView, path: str, params: dict[str, str], status: int, code: str
) -> None:
    found, document = await view.get(path, params)

    assert isinstance(document, dict)
    assert (found, document["error"]["code"]) == (status, code)
