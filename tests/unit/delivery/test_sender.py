import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from delivery_desk import Desk, by_target, statuses
from delivery_samples import NOW, alerting, completed, definition, webhook

from amodal_rt.domain.delivery import (
    DeliveryRecord,
    DeliveryStatus,
    MessageKind,
    Target,
    TargetType,
)
from amodal_rt.domain.secret import SecretRef
from amodal_rt.errors import UnavailableError
from amodal_rt.guardrails.egress import SETTING, USER_AGENT
from amodal_rt.testing.receiver import Receiver, Scripted

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "ledger.db")
    async with made.ledger:
        yield made


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


def _callback(name: str | None = None) -> Target:
    return Target(type=TargetType.CALLBACK, label=name or "callback", name=name)


async def test_a_message_arrives_once_with_its_headers(desk: Desk, receiver: Receiver) -> None:
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url("/hook"))), completed())
        (record,) = await desk.settled()

    (request,) = receiver.requests
    assert record.status is DeliveryStatus.DELIVERED
    assert (record.attempts, record.last_error) == (1, None)
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == USER_AGENT
    assert request.headers["webhook-id"] == record.message.delivery_id
    assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert "webhook-signature" not in request.headers
    assert request.json == record.message.body


async def test_messages_owed_before_the_start_are_sent(desk: Desk, receiver: Receiver) -> None:
    await desk.finish(definition(webhook(receiver.url())), completed())

    async with desk.sending():
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.DELIVERED


@pytest.mark.parametrize("secret", [SECRET, "a text of any kind"])
async def test_a_secret_signs_each_attempt_anew_under_one_id(
    desk: Desk, receiver: Receiver, secret: str
) -> None:
    receiver.script(503)
    desk.variables["HOOK_SECRET"] = secret
    target = replace(webhook(receiver.url()), secret=SecretRef("HOOK_SECRET"))
    async with desk.sending():
        await desk.finish(definition(target), completed("Größe"))
        await desk.settled()
        desk.clock.advance(5)
        await desk.settled(attempts=2)

    first, second = receiver.requests
    first.verify(secret)
    second.verify(secret)
    assert first.message_id == second.message_id
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert first.body == second.body
    with pytest.raises(AssertionError):
        first.verify("another secret")


async def test_slack_gets_the_text_alone(desk: Desk, receiver: Receiver) -> None:
    target = webhook(receiver.url(), format="slack")
    async with desk.sending():
        await desk.finish(definition(target), completed("*Done* <!here>"))
        await desk.settled()
        await desk.finish(definition(target), completed(""))
        await desk.settled(2)

    said, silent = receiver.requests
    assert said.json == {"text": "*Done* &lt;!here&gt;"}
    assert silent.json == {"text": "digest: nothing to report"}


async def test_an_answer_that_may_pass_is_followed_by_growing_pauses(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(500, 429, 408, Scripted(drop=True))
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        for attempts, pause in enumerate((5, 300, 1_800, 7_200), start=1):
            (record,) = await desk.settled(attempts=attempts)
            assert record.status is DeliveryStatus.PENDING
            assert record.next_attempt_at == desk.clock.now() + timedelta(seconds=pause)
            desk.clock.advance(pause)
        (record,) = await desk.settled(attempts=5)

    assert record.status is DeliveryStatus.DELIVERED
    assert len({request.message_id for request in receiver.requests}) == 1
    assert len(receiver.requests) == 5


async def test_a_target_that_never_answers_well_is_given_up_after_a_day(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(*[500] * 50)
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        attempts = 0
        while True:
            attempts += 1
            (record,) = await desk.settled(attempts=attempts)
            if record.next_attempt_at is None:
                break
            pause = record.next_attempt_at - desk.clock.now()
            desk.clock.advance(pause.total_seconds())

    assert record.status is DeliveryStatus.DEAD
    assert record.last_error == "HTTP 500 Internal Server Error"
    assert timedelta(hours=23) < desk.clock.now() - NOW < timedelta(hours=24)
    assert record.attempts == len(receiver.requests) == 8


async def test_retry_after_is_honoured(desk: Desk, receiver: Receiver) -> None:
    receiver.script(Scripted(status=429, headers={"Retry-After": "77"}))
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        (record,) = await desk.settled()

    assert record.next_attempt_at == NOW + timedelta(seconds=77)


async def test_a_server_that_hangs_is_left_after_ten_seconds(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(Scripted(hang=True))
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        await receiver.received()
        desk.clock.advance(10)
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.PENDING
    assert record.last_error == "no answer within 10 s"


async def test_what_will_not_change_is_tried_twice(desk: Desk, receiver: Receiver) -> None:
    receiver.script(404, 404)
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        (record,) = await desk.settled()
        assert record.status is DeliveryStatus.PENDING
        desk.clock.advance(5)
        (record,) = await desk.settled(attempts=2)

    assert record.status is DeliveryStatus.DEAD
    assert record.last_error == "HTTP 404 Not Found"


async def test_gone_is_final(desk: Desk, receiver: Receiver) -> None:
    receiver.script(Scripted(status=410, body=b"channel_is_archived\n"))
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.DEAD
    assert record.last_error == "HTTP 410 Gone: channel_is_archived"


async def test_a_redirect_is_not_followed(desk: Desk, receiver: Receiver) -> None:
    away = Scripted(status=307, headers={"Location": receiver.url("/elsewhere")})
    receiver.script(away, away)
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url("/hook"))), completed())
        await desk.settled()
        desk.clock.advance(5)
        (record,) = await desk.settled(attempts=2)

    assert record.status is DeliveryStatus.DEAD
    assert [request.path for request in receiver.requests] == ["/hook", "/hook"]


async def test_a_refused_address_names_the_setting(desk: Desk, receiver: Receiver) -> None:
    async with desk.sending(allow=()):
        await desk.finish(definition(webhook(receiver.url())), completed())
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.PENDING
    assert SETTING in str(record.last_error)
    assert receiver.requests == []


async def test_an_unset_variable_is_named_and_looked_at_again(
    desk: Desk, receiver: Receiver
) -> None:
    target = replace(webhook(), url=SecretRef("HOOK_URL"))
    async with desk.sending():
        await desk.finish(definition(target), completed())
        (record,) = await desk.settled()
        assert "HOOK_URL" in str(record.last_error)
        desk.variables["HOOK_URL"] = receiver.url()
        desk.clock.advance(5)
        (record,) = await desk.settled(attempts=2)

    assert record.status is DeliveryStatus.DELIVERED


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 no\r\nContent-Length: 42\r\n\r\nCannot POST /services/T0SECRET/B1?k=KEYKEY",
        b"HTTP/1.1 500 no\r\nContent-Length: 40\r\n\r\n/services/T0SECRET and T0SECRET + KEYKEY",
        b"nonsense /services/T0SECRET/B1?k=KEYKEY\r\n\r\n",
    ],
)
async def test_a_secret_url_stays_out_of_the_record(desk: Desk, answer: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    desk.variables["HOOK"] = f"http://127.0.0.1:{port}/services/T0SECRET/B1?k=KEYKEY"
    async with desk.sending():
        await desk.finish(definition(replace(webhook(), url=SecretRef("HOOK"))), completed())
        (record,) = await desk.settled()
    server.close()

    assert record.last_error
    assert "SECRET" not in record.last_error
    assert "KEYKEY" not in record.last_error
    assert "SECRET" not in repr(record.message)


async def test_a_failing_target_harms_no_other(desk: Desk, receiver: Receiver) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        targets = (
            webhook(nobody, "nobody"),
            webhook("ftp://x", "bad"),
            webhook(receiver.url(), "ok"),
        )
        async with desk.sending():
            await desk.finish(definition(*targets), completed())
            records = by_target(await desk.settled(3))

    assert records["ok"].status is DeliveryStatus.DELIVERED
    assert records["nobody"].status is DeliveryStatus.PENDING
    assert "Cannot connect" in str(records["nobody"].last_error)
    assert "neither http nor https" in str(records["bad"].last_error)


async def test_eight_messages_are_under_way_at_once(desk: Desk, receiver: Receiver) -> None:
    receiver.script(*[Scripted(hang=True)] * 8)
    targets = [webhook(receiver.url(f"/{number}"), str(number)) for number in range(10)]
    async with desk.sending():
        await desk.finish(definition(*targets), completed())
        await receiver.received(8)
        waiting = await desk.messages(status=DeliveryStatus.PENDING)
        assert len(waiting) == 2
        desk.clock.advance(10)
        await receiver.received(10)
        await desk.settled(10)

    assert len(await desk.messages(status=DeliveryStatus.DELIVERED)) == 2


async def test_a_rehearsal_is_delivered_to_loopback_only(desk: Desk, receiver: Receiver) -> None:
    targets = (
        webhook("https://hooks.example/in", "outside"),
        webhook(receiver.url(), "literal"),
        webhook(receiver.url(host="localhost"), "named"),
        webhook("http://10.0.0.1:1/", "private"),
        replace(webhook(label="hidden"), url=SecretRef("OUTSIDE")),
    )
    desk.variables["OUTSIDE"] = "https://hooks.example/secret"
    async with desk.sending():
        await desk.finish(definition(*targets), completed(model="rehearsal"))
        records = by_target(await desk.settled(5))

    outside = [records[label] for label in ("outside", "private", "hidden")]
    assert list(statuses(outside)) == ["suppressed"] * 3
    assert {record.last_error for record in outside} == {
        "a rehearsal is delivered to loopback only"
    }
    assert list(statuses([records["literal"], records["named"]])) == ["delivered"] * 2
    assert all(request.json["model"] == "rehearsal" for request in receiver.requests)


async def test_a_rehearsal_that_nobody_takes_moves_no_counter(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(410)
    known = definition(webhook(receiver.url()), alert=alerting(webhook(receiver.url("/ops"))))
    async with desk.sending():
        await desk.finish(known, completed(model="rehearsal"))
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.SUPPRESSED
    assert (await desk.ledger.failure_state("digest")).consecutive == 0
    assert len(receiver.requests) == 1


async def test_callbacks_get_the_payload_and_the_name(desk: Desk) -> None:
    got: list[tuple[str | None, str]] = []

    async def by_name(payload: Mapping[str, object], name: str | None) -> None:
        got.append((name, str(payload["result"])))

    def default(payload: Mapping[str, object], name: str | None) -> None:
        got.append((name, str(payload["status"])))

    desk.callbacks.register(by_name, "ui")
    desk.callbacks.register(default)
    async with desk.sending():
        await desk.finish(
            definition(_callback("ui"), _callback(), _callback("other")), completed("Hi")
        )
        records = await desk.settled(3)

    assert list(statuses(records)) == ["delivered"] * 3
    assert sorted(got, key=str) == [("other", "success"), ("ui", "Hi"), (None, "success")]


async def test_a_callback_that_raises_is_called_again(desk: Desk) -> None:
    calls: list[str] = []

    def fragile(payload: Mapping[str, object], name: str | None) -> None:
        calls.append(str(payload["run_id"]))
        if len(calls) == 1:
            raise RuntimeError("not yet")

    desk.callbacks.register(fragile)
    async with desk.sending():
        await desk.finish(definition(_callback()), completed())
        (record,) = await desk.settled()
        assert record.last_error == "RuntimeError: not yet"
        desk.clock.advance(5)
        (record,) = await desk.settled(attempts=2)

    assert record.status is DeliveryStatus.DELIVERED
    assert calls[0] == calls[1]


async def test_a_callback_that_hangs_is_left_after_ten_seconds(desk: Desk) -> None:
    begun = asyncio.Event()

    async def hang(payload: Mapping[str, object], name: str | None) -> None:
        begun.set()
        await asyncio.Event().wait()

    desk.callbacks.register(hang)
    async with desk.sending():
        await desk.finish(definition(_callback()), completed())
        await begun.wait()
        desk.clock.advance(10)
        (record,) = await desk.settled()

    assert record.last_error == "no answer within 10 s"


async def test_without_a_callback_the_message_is_dead_and_says_why(desk: Desk) -> None:
    async with desk.sending():
        await desk.finish(definition(_callback(), _callback("ui")), completed())
        first, second = await desk.settled(2)

    assert (first.status, first.last_error) == (DeliveryStatus.DEAD, "no callback registered")
    assert second.last_error == "no callback 'ui' registered"


async def test_a_dead_letter_can_be_sent_again_by_hand(desk: Desk, receiver: Receiver) -> None:
    receiver.script(410)
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        (record,) = await desk.settled()
        now = desk.clock.now()
        await desk.ledger.retry_message(
            record.message.delivery_id, at=now, expires_at=now + timedelta(hours=24)
        )
        desk.signals.notify("outbox")
        (record,) = await desk.settled(attempts=2)

    assert record.status is DeliveryStatus.DELIVERED
    assert receiver.requests[0].message_id == receiver.requests[1].message_id


async def test_stop_lets_a_send_finish(desk: Desk) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(payload: Mapping[str, object], name: str | None) -> None:
        begun.set()
        await go_on.wait()

    desk.callbacks.register(slow)
    async with desk.sending() as sender:
        await desk.finish(definition(_callback()), completed())
        await begun.wait()
        stopping = asyncio.create_task(sender.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        go_on.set()
        await stopping
        (record,) = await desk.messages()

    assert record.status is DeliveryStatus.DELIVERED


async def test_a_send_that_outlasts_the_stop_is_sent_again_at_the_next_start(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(Scripted(hang=True))
    async with desk.sending(stop=False):
        await desk.finish(definition(webhook(receiver.url())), completed())
        await receiver.received()
    (record,) = await desk.messages()
    assert record.status is DeliveryStatus.SENDING

    await desk.ledger.join(host="a", pid=1, version="1", lease=timedelta(hours=1))
    async with desk.sending():
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.DELIVERED
    first, second = receiver.requests
    assert first.message_id == second.message_id


async def test_a_message_whose_claim_was_not_answered_is_sent_all_the_same(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = desk.ledger.claim_messages

    async def unanswered(*, limit: int, now: datetime) -> list[DeliveryRecord]:
        if not await claim(limit=limit, now=now):
            return []
        monkeypatch.setattr(desk.ledger, "claim_messages", claim)
        raise UnavailableError("the connection was reset", code="ledger")

    monkeypatch.setattr(desk.ledger, "claim_messages", unanswered)
    await desk.finish(definition(webhook(receiver.url())), completed())
    async with desk.sending():
        while not receiver.requests:
            desk.clock.advance(1)
            await asyncio.sleep(0.01)
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.DELIVERED
    assert len(receiver.requests) == 1


async def test_a_message_past_its_day_is_not_sent(desk: Desk, receiver: Receiver) -> None:
    await desk.finish(definition(webhook(receiver.url())), completed())
    desk.clock.advance(timedelta(hours=25).total_seconds())
    async with desk.sending():
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.EXPIRED
    assert receiver.requests == []
    assert record.message.kind is MessageKind.RESULT
