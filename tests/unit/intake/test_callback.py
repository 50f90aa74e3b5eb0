"""A callback is believed for its token alone, and taken whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.domain.automation import AgentWork, Automation, ChatMessage, Definition
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.params import Param, ParamTest
from amodal_rt.domain.remote_trigger import RemoteState, RemoteTrigger
from amodal_rt.domain.trigger import EventCondition, EventTrigger, Wanted
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.ids import SystemIds
from amodal_rt.intake.answers import refused
from amodal_rt.intake.callback import LARGEST, UNKNOWN, CallbackIntake
from amodal_rt.intake.requests import RawRequest, Refusal, Verified
from amodal_rt.settings import Environment
from amodal_rt.triggers.matching import Matching

TOKEN = "good-token"
TYPE = "item.created"


def waiting(name: str, params: Mapping[str, str]) -> Definition:
    """An automation that waits for the type, with these params."""
    wanted = Wanted(params=tuple(Param(k, ParamTest.EQ, (v,)) for k, v in params.items()))
    condition = EventCondition(event=f"notes.{TYPE}", wanted=wanted)
    automation = Automation(
        name=name,
        title=name,
        work=AgentWork(messages=(ChatMessage("user", "look"),)),
        triggers=(EventTrigger(conditions=(condition,), key="0"),),
    )
    return Definition(automation=automation, hash="0" * 64, document="{}", file="f.json")


@dataclass
class Notes:
    """Automations that wait for one type of one server, each with what it asks of `list`, and
    the token that the server calls back with."""

    causes: Causes = field(default_factory=lambda: Causes(b"key", lambda url: False))
    broken: str = "broken"
    waits: dict[str, dict[str, str]] = field(default_factory=lambda: {"sort": {}})
    owner: str = "sort"
    key: str = "k"
    told: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[str] = field(default_factory=list[str])

    def snapshot(self) -> Snapshot:
        return Snapshot(
            version=1,
            automations={
                name: AutomationState(
                    name=name,
                    file="f.json",
                    definition=None if name == self.broken else waiting(name, params),
                )
                for name, params in self.waits.items()
            },
        )

    def environment(self) -> Environment:
        return Environment()

    async def find(self, token: str) -> RemoteTrigger | None:
        self.asked.append(token)
        if token != TOKEN:
            return None
        clock = SystemClock()
        return RemoteTrigger(
            automation=self.owner, key=self.key, connection="notes", type=TYPE, digest="d",
            state=RemoteState.ACTIVE, configured_at=clock.now(), params=self.told,
        )  # fmt: skip

    async def send(
        self,
        document: object = None,
        *,
        raw: bytes | None = None,
        token: str | None = TOKEN,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Verified | Refusal:
        """The verdict on one request."""
        body = json.dumps(document).encode() if raw is None else raw

        async def read(limit: int) -> bytes | None:
            return body if len(body) <= limit else None

        proof = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = RawRequest(
            endpoint="",
            method=method,
            headers=tuple({"Content-Type": "application/json", **proof, **(headers or {})}.items()),
            read_body=read,
        )
        clock = SystemClock()
        ids = SystemIds(clock)
        intake = CallbackIntake(self, self, Matching(ids), self.causes, clock=clock, ids=ids)
        return await intake.verify(request)


@pytest.fixture
async def notes() -> Notes:
    return Notes()


async def test_what_a_server_reports_is_an_event_addressed_to_its_triggers_automation(
    notes: Notes,
) -> None:
    verdict = await notes.send({"type": TYPE, "data": {"list": "inbox"}, "id": "e-1", "more": 1})

    assert isinstance(verdict, Verified)
    event = verdict.event
    assert (event.type, event.source, event.address) == (
        "notes.item.created", "/connections/notes", "sort",
    )  # fmt: skip
    assert (event.data, event.delivery_id, event.depth, event.cause) == (
        {"list": "inbox"}, "e-1", 0, None,
    )  # fmt: skip
    assert verdict.dedup
    assert verdict.dedup.keys == ("evt:e-1:trig:sort/notes.item.created",)
    assert verdict.dedup.apiece == {}
    assert TOKEN not in repr(event)


async def test_an_id_is_known_again_whatever_token_it_comes_with(notes: Notes) -> None:
    first = await notes.send({"type": TYPE, "id": "e-1"})
    notes.key = "k~2"
    second = await notes.send({"type": TYPE, "id": "e-1"})

    assert isinstance(first, Verified)
    assert isinstance(second, Verified)
    assert first.dedup == second.dedup


async def test_what_is_watched_for_several_is_sent_to_those_that_ask_for_just_that(
    notes: Notes,
) -> None:
    notes.owner = ""
    notes.waits = {"a": {}, "b": {"list": "inbox"}, "c": {}, "broken": {}}

    verdict = await notes.send({"type": TYPE, "id": "e-1"})
    refusal = await notes.send({"type": "other"})
    notes.told, notes.key = {"list": "inbox"}, "narrower"
    narrower = await notes.send({"type": TYPE, "id": "e-1"})

    assert isinstance(verdict, Verified)
    assert isinstance(narrower, Verified)
    assert verdict.event.addressees == ("a", "c")
    assert narrower.event.addressees == ("b",)
    assert verdict.dedup != narrower.dedup
    assert isinstance(refusal, Refusal)
    assert refusal.rejection
    assert refusal.rejection.automation is None


async def test_whoever_asks_in_two_ways_knows_an_event_by_one_key_and_so_over_http(
    notes: Notes,
) -> None:
    alone = await notes.send({"type": TYPE, "id": "e-1"})
    notes.owner = ""
    first = await notes.send({"type": TYPE, "id": "e-1"})
    notes.key = "another"
    second = await notes.send({"type": TYPE, "id": "e-1"})

    assert isinstance(alone, Verified)
    assert isinstance(first, Verified)
    assert isinstance(second, Verified)
    assert alone.dedup
    assert first.dedup
    assert second.dedup
    assert first.dedup.keys != second.dedup.keys
    assert first.dedup.apiece == second.dedup.apiece
    assert first.dedup.apiece == {"sort": (alone.dedup.endpoint, alone.dedup.keys[0])}


async def test_without_an_id_every_callback_is_new(notes: Notes) -> None:
    verdict = await notes.send({"type": TYPE})

    assert isinstance(verdict, Verified)
    assert verdict.dedup is None
    assert verdict.event.data is None


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        (None, {}),
        ("", {}),
        ("wrong", {}),
        (TOKEN.upper(), {}),
        (TOKEN + " ", {"Authorization": f"Bearer  {TOKEN} x"}),
        (None, {"Authorization": f"Basic {TOKEN}"}),
        (None, {"Authorization": TOKEN}),
        (None, {"X-Token": TOKEN}),
        ("x" * 5000, {}),
        ("\udcff", {}),
    ],
)
async def test_every_wrong_proof_has_one_and_the_same_answer_and_no_record(
    notes: Notes, token: str | None, headers: Mapping[str, str]
) -> None:
    verdict = await notes.send({"type": TYPE}, token=token, headers=headers)

    assert verdict == UNKNOWN
    assert refused(UNKNOWN).status == 401
    assert UNKNOWN.rejection is None


async def test_who_shows_no_token_is_not_read_and_nothing_is_looked_up(notes: Notes) -> None:
    verdict = await notes.send(raw=b"x" * (LARGEST + 1), token=None)

    assert verdict == UNKNOWN
    assert notes.asked == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"item.created"',
        b"null",
        b"{}",
        b'{"type": ""}',
        b'{"type": 1}',
        b'{"type": null}',
        b'{"type": "item.created", "data": null}',
        b'{"type": "item.created", "data": []}',
        b'{"type": "item.created", "data": "text"}',
        b'{"type": "item.created", "data": NaN}',
        b'{"type": "item.created", "id": ""}',
        b'{"type": "item.created", "id": 7}',
        json.dumps({"type": TYPE, "id": "x" * 257}).encode(),
        b'{"type": "item.created", "data": ' + b'{"a":' * 80 + b"1" + b"}" * 80 + b"}",
        b"\xff\xfe",
        b"type=item.created",
    ],
)
async def test_a_body_that_says_something_else_is_refused_and_remembered(
    notes: Notes, raw: bytes
) -> None:
    verdict = await notes.send(raw=raw)

    assert isinstance(verdict, Refusal)
    assert (verdict.status, verdict.code) == (400, "bad_body")
    assert verdict.rejection
    assert (verdict.rejection.endpoint, verdict.rejection.automation) == (
        "trigger:sort/notes.item.created",
        "sort",
    )


async def test_a_token_is_good_for_the_type_of_its_trigger_alone(notes: Notes) -> None:
    verdict = await notes.send({"type": "item.done"})

    assert isinstance(verdict, Refusal)
    assert (verdict.status, verdict.code) == (400, "wrong_type")


async def test_a_body_of_a_mebibyte_is_kept_whole_and_one_more_byte_is_refused(
    notes: Notes,
) -> None:
    frame = len(json.dumps({"type": TYPE, "data": {"text": ""}}))
    text = "x" * (LARGEST - frame)

    whole = await notes.send({"type": TYPE, "data": {"text": text}})
    more = await notes.send({"type": TYPE, "data": {"text": text + "x"}})

    assert isinstance(whole, Verified)
    assert whole.event.data == {"text": text}
    assert isinstance(more, Refusal)
    assert (more.status, more.code) == (413, "too_large")


async def test_a_sealed_mark_makes_the_event_one_deeper_than_the_run_that_caused_it(
    notes: Notes,
) -> None:
    cause = Cause(depth=2, run_id="run_0123456789abcdef")
    mark = notes.causes.token(cause)

    sealed = await notes.send({"type": TYPE}, headers={HEADER: mark})
    forged = await notes.send(
        {"type": TYPE}, headers={HEADER: mark[:-1] + ("a" if mark[-1] != "a" else "b")}
    )

    assert isinstance(sealed, Verified)
    assert (sealed.event.depth, sealed.event.cause) == (3, cause.run_id)
    assert isinstance(forged, Verified)
    assert (forged.event.depth, forged.event.cause) == (0, None)


async def test_an_automation_that_cannot_run_now_makes_the_server_come_again(
    notes: Notes,
) -> None:
    notes.broken = "sort"

    verdict = await notes.send({"type": TYPE})

    assert isinstance(verdict, Refusal)
    assert verdict.status == 503
    assert "Retry-After" in verdict.headers


async def test_only_post_and_only_bodies_as_they_are(notes: Notes) -> None:
    got = await notes.send({"type": TYPE}, method="GET")
    packed = await notes.send({"type": TYPE}, headers={"Content-Encoding": "gzip"})

    assert isinstance(got, Refusal)
    assert isinstance(packed, Refusal)
    assert (got.status, packed.status) == (405, 415)
