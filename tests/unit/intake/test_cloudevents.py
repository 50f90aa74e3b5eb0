"""CloudEvents 1.0 are read as they are written, and anything else is refused in one sentence."""

import base64
import json
from datetime import UTC, datetime

import pytest

from amodal_rt.domain.event import Event
from amodal_rt.errors import InvalidError
from amodal_rt.intake.cloudevents import (
    BATCHED,
    MOST,
    STRUCTURED,
    CloudEvent,
    document_of,
    parse_document,
    parse_request,
)
from amodal_rt.intake.headers import Headers

PLAIN = {"specversion": "1.0", "id": "1", "source": "/ci", "type": "deploy.finished"}
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def read(body: object, content_type: str = STRUCTURED, **headers: str) -> list[CloudEvent]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    sent = parse_request(Headers([("Content-Type", content_type), *named]), raw)
    return list(sent.events)


def refused(body: object, content_type: str = STRUCTURED, **headers: str) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        read(body, content_type, **headers)
    return caught.value


def test_a_structured_event_keeps_every_attribute() -> None:
    (event,) = read(
        {
            **PLAIN,
            "subject": "web/1",
            "time": "2026-03-02T10:00:00+01:00",
            "dataschema": "https://example.org/schema",
            "datacontenttype": "application/json",
            "traceparent": "00-1-2-01",
            "sampled": True,
            "data": {"ok": True},
        }
    )

    assert (event.id, event.source, event.type) == ("1", "/ci", "deploy.finished")
    assert (event.subject, event.time, event.data) == ("web/1", AT, {"ok": True})
    assert event.kept == {
        "ce-id": "1",
        "content-type": "application/json",
        "ce-dataschema": "https://example.org/schema",
        "ce-traceparent": "00-1-2-01",
        "ce-sampled": "true",
    }


def test_a_binary_event_says_the_same_in_its_headers() -> None:
    (event,) = read(
        b'{"ok": true}',
        "application/json; charset=utf-8",
        ce_specversion="1.0",
        ce_id="1",
        ce_source="/ci",
        ce_type="deploy.finished",
        ce_subject="caf%C3%A9",
        ce_time="2026-03-02T09:00:00Z",
    )

    assert (event.subject, event.time, event.data) == ("café", AT, {"ok": True})


def test_a_binary_body_that_is_no_json_is_kept_as_it_is() -> None:
    named = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/ci", "ce_type": "a.b"}

    (text,) = read(b"hello", "text/plain", **named)
    (raw,) = read(b"\x89PNG\xff", "image/png", **named)
    (nothing,) = read(b"", "", **named)

    assert text.data == "hello"
    assert raw.data == {
        "encoding": "base64",
        "content_type": "image/png",
        "content": base64.b64encode(b"\x89PNG\xff").decode(),
    }
    assert nothing.data is None


def test_base64_data_is_unpacked_to_what_it_holds() -> None:
    packed = base64.b64encode(b'{"ok": 1}').decode()

    (event,) = read({**PLAIN, "data_base64": packed, "datacontenttype": "application/json"})

    assert event.data == {"ok": 1}


def test_a_batch_is_read_in_order() -> None:
    events = read([{**PLAIN, "id": str(number)} for number in range(3)], BATCHED)

    assert [each.id for each in events] == ["0", "1", "2"]
    assert read([], BATCHED) == []


def test_the_wrong_one_of_a_batch_is_named() -> None:
    error = refused([PLAIN, {**PLAIN, "type": ""}], BATCHED)

    assert error.message.startswith("events[1]: type")


def test_a_batch_has_a_bound() -> None:
    assert refused([PLAIN] * (MOST + 1), BATCHED).code == "too_large"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": None}, "id is missing"),
        ({"id": 1}, "id is not a text"),
        ({"id": ""}, "id is not a text"),
        ({"id": "x" * 513}, "id is longer"),
        ({"id": "a\nb"}, "not printable"),
        ({"source": None}, "source is missing"),
        ({"source": "a b"}, "source is no URI"),
        ({"type": "deploy.*"}, "type: "),
        ({"type": "a b"}, "type: "),
        ({"type": "é"}, "type: "),
        ({"type": "." + "a"}, "type: "),
        ({"type": "a" * 257}, "type: "),
        ({"time": "yesterday"}, "time is no"),
        ({"time": "2026-03-02T09:00:00"}, "time is no"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "time is no"),
        ({"time": 5}, "time is not a text"),
        ({"subject": {}}, "subject is not a text"),
        ({"Extension": "x"}, "lower-case"),
        ({"my_extension": "x"}, "lower-case"),
        ({"extension": {"a": 1}}, "an extension is"),
        ({"data": 1, "data_base64": "AA=="}, "exclude each other"),
        ({"data_base64": "?"}, "data_base64"),
        ({"data_base64": 5}, "data_base64"),
        ({"data_base64": "Pw==", "datacontenttype": "application/json"}, "is not the JSON"),
        ({f"x{number}": "y" for number in range(21)}, "at most 20"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(changed: dict[str, object], said: str) -> None:
    error = refused({**PLAIN, **changed})

    assert error.code == "bad_event"
    assert said in error.message
    assert "\n" not in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"specversion": NaN}', b"1"],
)
def test_no_body_breaks_the_reading(body: bytes) -> None:
    assert refused(body).code == "bad_event"
    if body != b"[]":
        assert refused(body, BATCHED).code == "bad_event"


def test_what_is_no_cloudevent_is_told_what_is_one() -> None:
    error = refused({}, "application/json")

    assert error.code == "unsupported"
    assert STRUCTURED in (error.hint or "")


@pytest.mark.parametrize("name", ["datacontenttype", "data", "data_base64"])
def test_binary_mode_has_one_place_for_each_thing(name: str) -> None:
    named = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/ci", "ce_type": "a.b"}

    raw = [("ce-" + name, "x"), *((key.replace("_", "-"), each) for key, each in named.items())]

    with pytest.raises(InvalidError, match=f"ce-{name}"):
        parse_request(Headers(raw), b"")


@pytest.mark.parametrize("name", ["ce-id", "ce-type", "ce-trace"])
def test_a_header_that_stands_twice_is_believed_neither_time(name: str) -> None:
    named = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/ci"), ("ce-type", "a.b")]
    first = [] if name in dict(named) else [(name, "x")]

    with pytest.raises(InvalidError, match=f"{name} stands 2 times"):
        parse_request(Headers([*named, *first, (name, "y")]), b"")


def test_what_may_be_a_secret_is_not_kept() -> None:
    (event,) = read({**PLAIN, "authtoken": "t0p", "sessionkey": "s3c"})

    assert event.kept == {"ce-id": "1"}


def test_source_and_id_together_make_it_the_same_event() -> None:
    one = parse_document(PLAIN)

    assert parse_document({**PLAIN, "data": "other"}).dedup == one.dedup
    assert parse_document({**PLAIN, "source": "/cd"}).dedup != one.dedup
    assert parse_document({**PLAIN, "id": "/ci1", "source": "-"}).dedup != one.dedup


def stored(data: object, **more: str) -> Event:
    return Event(
        id="evt_1",
        type="deploy.finished",
        source="/ci",
        data=data,
        time=AT,
        received_at=AT,
        subject="web",
        actor="token:ci",
        depth=2,
        delivery_id="17",
        cause="run_0000000000000001",
        headers={"ce-traceparent": "00-1", "user-agent": "curl", **more},
    )


@pytest.mark.parametrize(
    "data", [{"a": [1]}, [], "text", 5, False, {"encoding": "base64", "content": "x"}]
)
def test_what_goes_out_can_come_in(data: object) -> None:
    document = document_of(stored(data))

    again = parse_document(json.loads(json.dumps(document)))

    assert (again.type, again.source, again.subject, again.time) == (
        "deploy.finished",
        "/ci",
        "web",
        AT,
    )
    assert again.data == data
    assert document["id"] == "evt_1"
    assert document["deliveryid"] == "17"
    assert document["traceparent"] == "00-1"
    assert document["depth"] == 2


@pytest.mark.parametrize(
    ("data", "said", "goes_out"),
    [
        ("hello", "text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("<a/>", "application/xml", "application/xml"),
        ({"a": 1}, "application/vnd.acme+json", "application/vnd.acme+json"),
        # It is no form any more.
        ({"a": "1"}, "application/x-www-form-urlencoded", "application/json"),
    ],
)
def test_what_came_as_a_cloudevent_goes_out_as_the_same_one(
    data: object, said: str, goes_out: str
) -> None:
    document = document_of(stored(data, **{"ce-id": "build-7", "content-type": said}))

    assert (document["id"], document["eventid"]) == ("build-7", "evt_1")
    assert (document["data"], document["datacontenttype"]) == (data, goes_out)
    again = parse_document(document)
    assert again.dedup == parse_document({**PLAIN, "id": "build-7"}).dedup


def test_bytes_go_out_as_bytes() -> None:
    packed = base64.b64encode(b"\xff\x00").decode()
    kept = {"encoding": "base64", "content_type": "image/png", "content": packed}

    document = document_of(stored(kept))

    assert document["data_base64"] == packed
    assert document["datacontenttype"] == "image/png"
    assert "data" not in document
    assert parse_document(document).data == kept


def test_nothing_goes_out_as_nothing() -> None:
    document = document_of(stored(None))

    assert not {"data", "data_base64", "datacontenttype"} & document.keys()
