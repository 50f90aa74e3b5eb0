"""kill -9 and a new start: what was promised before holds after."""

import threading
import time
from datetime import UTC, datetime, timedelta

from files import Workspace
from outside import Site, post_json, send
from services import rest
from stub_http import Reply, Request, Stub
from stub_model import Chat, Model, Say, Turn, use
from waiting import eventually


def test_every_acknowledged_webhook_is_a_run_after_kills_under_load(
    site: Site, files: Workspace
) -> None:
    """Senders post without pause while the daemon is killed and started three times."""
    files.automation("burst", trigger="webhook", limits={"concurrency": 3})
    daemon = site.up()
    url = site.hook("burst")
    promised: dict[str, str] = {}
    over = threading.Event()

    def keep_sending(sender: int) -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                answer = post_json(url, {"from": sender, "n": number})
            except OSError:
                # Not acknowledged: nothing was promised. Do not spin while nobody listens.
                time.sleep(0.02)
                continue
            if answer.status == 202:
                promised[answer.json()["run_id"]] = answer.json()["event_id"]

    senders = [threading.Thread(target=keep_sending, args=(each,)) for each in range(4)]
    for sender in senders:
        sender.start()
    try:
        for round_ in range(1, 4):
            enough = 40 * round_
            eventually(lambda wanted=enough: len(promised) >= wanted, "some are acknowledged")
            daemon.kill()
            daemon.start()
    finally:
        over.set()
        for sender in senders:
            sender.join()

    rows = site.ask("runs", "list", "--automation", "burst", "--limit", "1000")
    found = {row["run_id"] for row in rows}
    assert len(promised) >= 120
    assert len(rows) < 1000, "the list was cut: the next line would prove nothing"
    assert promised.keys() - found == set()


def test_what_was_waiting_is_done_after_the_restart(
    site: Site, model: Model, files: Workspace
) -> None:
    files.automation("queue", trigger="webhook", limits={"concurrency": 1})
    daemon = site.up()
    model.hang()
    url = site.hook("queue")
    waiting = [post_json(url, {"n": number}).json()["run_id"] for number in range(4)][1:]
    eventually(lambda: model.inflight == 1, "the first is with the model")
    daemon.kill()
    model.brain = lambda _: Say("after the night")
    daemon.start()

    for run_id in waiting:
        run = site.finished(run_id)
        assert (run["status"], run["result"]["text"]) == ("completed", "after the night")


def test_a_write_of_unknown_outcome_is_not_repeated_but_reported(
    site: Site, model: Model, files: Workspace, receiver: Stub
) -> None:
    held = model.gate()

    def hold(request: Request) -> Reply:
        held.wait(60)
        return Reply(201, {"id": 1})

    def write(chat: Chat) -> Turn:
        if chat.turn == 0:
            return use("request", connection="crm", method="POST", endpoint="/deals", data={"n": 1})
        return Say("written")

    model.brain = write
    with Stub(hold) as crm:
        files.connection("crm", rest(crm.url, {"type": "none"}))
        files.automation(
            "writer",
            writeEnabled=True,
            retry={"attempts": 2, "backoffSeconds": 1},
            failureAlert={"targets": [{"type": "webhook", "url": f"{receiver.url}/oncall"}]},
        )
        daemon = site.up()
        run_id = site.ask("automations", "trigger", "writer")["run_id"]
        eventually(lambda: crm.sent("POST", "/deals"), "the write is under way")
        daemon.kill()
        daemon.start()
        run = site.finished(run_id)
        alert = eventually(lambda: receiver.sent("POST", "/oncall"), "somebody is told")[0].json()
        held.set()

        assert (run["status"], run["reason"]) == ("failed", "interrupted")
        assert (alert["status"], alert["reason"]) == ("failure", "interrupted")
        assert alert["run_id"] == run_id
        assert len(crm.sent("POST", "/deals")) == 1
        assert run["attempt"] == 1


def test_a_running_run_ends_after_a_crash_and_never_hangs(
    site: Site, model: Model, files: Workspace
) -> None:
    files.automation("reader", trigger="webhook")
    daemon = site.up()
    model.hang()
    run_id = post_json(site.hook("reader"), {}).json()["run_id"]
    eventually(lambda: model.inflight == 1, "it runs")
    daemon.kill()
    model.brain = lambda _: Say("resumed")
    daemon.start()
    run = site.finished(run_id)

    # Either it starts again, counted as another attempt, or it is reported as interrupted.
    assert (run["status"], run["attempt"] > 1) == ("completed", True) or (
        run["status"],
        run["reason"],
    ) == ("failed", "interrupted")


def test_a_delivery_is_sent_again_under_the_same_id(
    site: Site, model: Model, files: Workspace
) -> None:
    first = model.gate()
    arrived: list[Request] = []

    def receive(request: Request) -> Reply:
        arrived.append(request)
        if len(arrived) == 1:
            first.wait(60)
        return Reply(200)

    with Stub(receive) as receiver:
        target = {"type": "webhook", "url": f"{receiver.url}/in", "secret": "env:SIGNING"}
        files.secrets(MODEL_KEY="key", SIGNING="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        files.automation("digest", delivery={"targets": [target]})
        daemon = site.up()
        run_id = site.ask("automations", "trigger", "digest", "--wait")["run_id"]
        eventually(lambda: arrived, "the first attempt is under way")
        daemon.kill()
        first.set()
        daemon.start()
        eventually(lambda: len(arrived) == 2, "a second attempt")

        def delivered() -> bool:
            found = site.ask("runs", "show", run_id)["deliveries"]
            return [each["status"] for each in found] == ["delivered"]

        eventually(delivered, "it is on record as delivered")

    ids = [request.headers["webhook-id"] for request in arrived]
    assert ids[0] == ids[1]
    assert arrived[0].json() == arrived[1].json()
    assert all(each.headers["webhook-signature"].startswith("v1,") for each in arrived)


def test_duplicates_pauses_and_urls_survive(site: Site, files: Workspace) -> None:
    files.automation("known", trigger="webhook")
    files.automation("quiet", trigger="webhook")
    daemon = site.up()
    url, quiet = site.hook("known"), site.hook("quiet")
    first = send(url, b'{"n": 1}', {"webhook-id": "msg_1"})
    assert site.ops("automations", "pause", "quiet", "--reason", "holidays").code == 0
    daemon.kill()
    daemon.start()
    again = send(url, b'{"n": 1}', {"webhook-id": "msg_1"})
    row = site.automation("quiet")

    assert (first.status, again.status) == (202, 200)
    assert again.json()["run_id"] == first.json()["run_id"]
    assert (row["status"], row["reason"]) == ("paused", "holidays")
    assert post_json(quiet, {}).json()["reason"] == "paused"
    assert site.hook("known") == url


def test_a_slot_that_passed_while_down_is_caught_up_once(site: Site, files: Workspace) -> None:
    daemon = site.up()
    due = datetime.now(UTC) + timedelta(seconds=8)
    at = due.isoformat(timespec="seconds").replace("+00:00", "Z")
    files.automation("once", schedule={"at": at})
    files.automation("never", schedule={"at": at}, catchUp={"policy": "none"})
    for name in ("once", "never"):
        eventually(lambda name=name: site.automation(name).get("next_run_at"), "it is planned")
    daemon.kill()
    eventually(lambda: datetime.now(UTC) > due, "the slot has passed", seconds=20)
    daemon.start()

    def slots(name: str) -> list[tuple[str, str | None]]:
        rows = site.ask("automations", "why", name)
        return [(row["status"], row["reason"]) for row in rows if row["scheduled_for"]]

    eventually(lambda: slots("once") == [("completed", None)], "it was caught up")
    eventually(lambda: slots("never") == [("skipped", "missed")], "a miss is on record")
    found = site.ask("automations", "history", "once")[0]
    assert found["trigger"] == "catch_up"
    assert _instant(found["scheduled_for"]) == due.replace(microsecond=0)
    daemon.kill()
    daemon.start()
    assert slots("once") == [("completed", None)]


def test_a_due_slot_starts_on_time(site: Site, files: Workspace) -> None:
    site.up()
    due = (datetime.now(UTC) + timedelta(seconds=4)).replace(microsecond=0)
    files.automation("soon", schedule={"at": due.isoformat().replace("+00:00", "Z")})
    run = eventually(lambda: site.ask("automations", "history", "soon"), "it has run")[0]

    assert run["trigger"] == "cron"
    assert _instant(run["scheduled_for"]) == due
    assert _instant(run["created_at"]) - due < timedelta(seconds=1)


def test_the_ledger_of_a_killed_daemon_opens_for_the_next(site: Site, files: Workspace) -> None:
    """Three kills in a row: each start finds its way."""
    files.automation("plain", trigger="webhook")
    daemon = site.up()
    run_id = post_json(site.hook("plain"), {}).json()["run_id"]
    for _ in range(3):
        daemon.kill()
        daemon.start()

    assert site.finished(run_id)["status"] in {"completed", "failed"}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
