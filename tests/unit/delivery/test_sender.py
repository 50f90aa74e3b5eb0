import asyncio
import socket
from dataclasses import replace

import pytest
from delivery_desk import Desk, by_target, statuses
from delivery_samples import NOW, alerting, completed, definition, webhook

from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.domain.outcome import Origin
from amodal_rt.domain.secret import SecretRef
from amodal_rt.guardrails.egress import SETTING, USER_AGENT
from amodal_rt.testing.receiver import Receiver, Scripted

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


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


SAID = (
    "*Done* <!channel> <@U1> @everyone\u202e ![x](https://evil.example/?q=s) "
    "[log](https://ci.example/1)"
)


@pytest.mark.parametrize(
    ("format", "sent"),
    [
        (
            "json",
            (
                "*Done* &lt;!channel> &lt;@\u200bU1> @\u200beveryone "
                "!\u200b[x]\u200b(hxxps://evil[.]example/?q=s) [log](https://ci.example/1)"
            ),
        ),
        (
            "slack",
            {
                "text": "*Done* &lt;!channel&gt; &lt;@\u200bU1&gt; @\u200beveryone "
                "!\u200b[x]\u200b(hxxps://evil[.]example/?q=s) [log](https://ci.example/1)",
                "unfurl_links": False,
                "unfurl_media": False,
            },
        ),
        (
            "discord",
            {
                "content": "*Done* <\u200b!channel> <\u200b@\u200bU1> @\u200beveryone "
                "!\u200b[x]\u200b(hxxps://evil[.]example/?q=s) [log](https://ci.example/1)",
                "allowed_mentions": {"parse": []},
                "flags": 4,
            },
        ),
    ],
)
async def test_what_a_stranger_may_have_said_arrives_as_text(
    desk: Desk, receiver: Receiver, format: str, sent: object
) -> None:
    origin = Origin(tainted=True, hosts=frozenset({"ci.example"}))
    async with desk.sending():
        target = webhook(receiver.url(), format=format)
        await desk.finish(definition(target), replace(completed(SAID), origin=origin))
        await desk.settled()

    (request,) = receiver.requests
    told = request.json
    if format == "json":
        assert (told["result"], told["tainted"]) == (SAID, True)
        assert told["text"] == sent
    else:
        assert told == sent


async def test_discord_gets_no_more_than_it_takes(desk: Desk, receiver: Receiver) -> None:
    async with desk.sending():
        target = webhook(receiver.url(), format="discord")
        await desk.finish(definition(target), completed("😀" * 1_500))
        await desk.settled()

    (request,) = receiver.requests
    assert request.json["content"] == "😀" * 999 + "…"


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
