"""The whole way: a file, a trigger, a run, a delivered result."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from daemon_child import Child, automation, daemon, eventually, write

from amodal_rt.client import Client
from amodal_rt.testing.receiver import Receiver


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    write(folder, "connections/runtime/spec.json", {"protocol": "runtime"})
    write(folder, "amodal.json", {"egress": {"allowPrivate": ["127.0.0.0/8"]}})
    return folder


async def test_a_webhook_ends_as_a_delivered_message(root: Path) -> None:
    import asyncio

    async with Receiver() as receiver:
        target = {"type": "webhook", "url": receiver.url("/reports"), "label": "#reports"}
        automation(
            root,
            "responder",
            trigger="webhook",
            prompt="Look at {{event}}.",
            connections=["runtime"],
            delivery={"targets": [target]},
        )
        with daemon(root) as child:
            url = child.client.get("/v1/automations/responder")["webhook_url"]
            status, answer = await asyncio.to_thread(child.post, url, b'{"alert": "disk"}')
            (sent,) = await receiver.received(1)
            run = await asyncio.to_thread(
                eventually, lambda: delivered(child.client, answer["run_id"])
            )

    assert (status, answer["status"]) == (202, "accepted")
    assert sent.json["run_id"] == answer["run_id"]
    assert sent.json["automation"] == "responder"
    assert sent.json["model"] == "rehearsal"
    assert sent.json["text"].startswith("[rehearsal]")
    assert run["deliveries"] == [{"target": "#reports", "status": "delivered", "attempts": 1}]


def listed(client: Client, name: str) -> dict[str, object] | None:
    """The automation, once its file was read."""
    rows = client.get("/v1/automations")
    return next((row for row in rows if row["name"] == name), None)


def is_counted(child: Child, name: str) -> bool:
    """Whether slots of the automation count."""
    query = "SELECT 1 FROM schedule_states WHERE automation = ?"
    with closing(sqlite3.connect(f"file:{child.state}/ledger.sqlite?mode=ro", uri=True)) as ledger:
        return ledger.execute(query, (name,)).fetchone() is not None


def delivered(client: Client, run_id: str) -> dict[str, object] | None:
    """The run, once its message has arrived."""
    run = client.get(f"/v1/runs/{run_id}")
    return run if [each["status"] for each in run["deliveries"]] == ["delivered"] else None


async def test_a_schedule_runs_by_itself(root: Path) -> None:
    """`at`, so that the test need not wait for the next minute."""
    automation(root, "other", connections=[])
    with daemon(root) as child:
        # Counted from now on: how long a daemon takes to be ready is nobody's promise.
        soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
        automation(root, "once", schedule={"at": soon.isoformat()}, connections=[])
        row = eventually(lambda: listed(child.client, "once"))
        (run,) = eventually(lambda: child.client.get("/v1/runs", {"automation": "once"}))
        finished = child.finished(run["run_id"])
        after = child.client.get("/v1/automations/once")

    assert row["next_run_at"] is not None
    assert (finished["trigger"], finished["status"]) == ("cron", "completed")
    assert datetime.fromisoformat(finished["scheduled_for"]) == soon
    assert after["next_run_at"] is None


async def test_a_slot_missed_while_down_is_caught_up(root: Path) -> None:
    automation(root, "other", connections=[])
    with daemon(root) as first:
        soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
        automation(root, "once", schedule={"at": soon.isoformat()}, connections=[])
        # Listed, it need not count yet: slots count from when that is on record.
        eventually(lambda: is_counted(first, "once"))
        first.stop()
        assert datetime.now(UTC) < soon, "stopped too late to miss the slot"
    eventually(lambda: datetime.now(UTC) > soon)

    with daemon(root) as second:
        (run,) = eventually(lambda: second.client.get("/v1/runs", {"automation": "once"}))

    assert run["trigger"] == "catch_up"


async def test_a_message_that_was_given_up_is_listed_and_may_be_sent_again(root: Path) -> None:
    """A rehearsal's message is never dead: it is suppressed, and counts no failure."""
    import asyncio

    async with Receiver() as receiver:
        receiver.script(410)
        target = {"type": "webhook", "url": receiver.url("/gone"), "label": "#gone"}
        automation(root, "digest", connections=[], delivery={"targets": [target]})
        with daemon(root) as child:
            run = child.client.post("/v1/automations/digest/trigger")
            (first,) = await receiver.received(1)

            def given_up() -> list[dict[str, object]]:
                return child.client.get("/v1/deliveries", {"status": "suppressed"})

            (row,) = await asyncio.to_thread(eventually, given_up)
            retried = child.client.post(f"/v1/deliveries/{row['delivery_id']}/retry")
            _, second = await receiver.received(2)
            shown = child.client.get(f"/v1/deliveries/{row['delivery_id']}")

    assert (row["run_id"], row["target"], row["kind"]) == (run["run_id"], "#gone", "result")
    assert retried["delivery_id"] == row["delivery_id"]
    assert first.message_id == second.message_id == row["delivery_id"]
    assert shown["body"]["run_id"] == run["run_id"]


def test_what_a_full_queue_refuses_is_listed_with_other_refusals(root: Path) -> None:
    write(root, "amodal.json", {"limits": {"queue": 1}})
    automation(root, "waits", trigger="webhook", coalesce={"key": "k", "window": "1h"})
    automation(root, "hook", trigger="webhook", connections=[])
    with daemon(root) as child:
        urls = {
            name: child.client.get(f"/v1/automations/{name}")["webhook_url"]
            for name in ("waits", "hook")
        }
        taken, _ = child.post(urls["waits"])
        refused = [child.post(urls["hook"])[0] for _ in range(3)]
        eventually(lambda: child.client.get("/v1/events", {"rejected": "1"}))
        child.stop()
    with daemon(root) as child:
        rows = child.client.get("/v1/events", {"rejected": "1"})

    assert (taken, refused) == (202, [503] * 3)
    assert {row["automation"] for row in rows} == {"hook"}
    assert all(row["reason"].startswith("queue_full: ") for row in rows)
    # The first at once, what came after it before the daemon ended, a row a minute.
    assert "requests" in rows[0]["reason"]
