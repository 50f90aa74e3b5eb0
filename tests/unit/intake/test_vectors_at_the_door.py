"""Every vector, and a sample of its mutations, over a real socket: one answer to all of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from intake_house import ENDPOINT, House
from mutated_vectors import Pairs, mutations
from signed_vectors import VECTORS, Vector

from amodal_rt.clock import SystemClock
from amodal_rt.domain import signing
from amodal_rt.ids import SystemIds
from amodal_rt.intake import answers
from amodal_rt.intake.examining import Examiner
from amodal_rt.intake.requests import Answer, RawRequest, Refusal
from amodal_rt.intake.signatures.key_sets import KeySets
from amodal_rt.intake.webhooks import WebhookIntake
from amodal_rt.servers.deadlines import Listener
from amodal_rt.servers.webhooks import webhook_routes
from amodal_rt.testing.clock import FakeClock

Seen = tuple[int, str, tuple[str, ...]]


@dataclass
class Door:
    session: aiohttp.ClientSession
    path: str

    async def send(self, headers: Pairs, body: bytes) -> Seen:
        kind = [("Content-Type", "application/json"), *headers]
        async with self.session.post(self.path, data=body, headers=kind) as answer:
            kept = (f"{name}: {value}" for name, value in answer.headers.items() if name != "Date")
            return answer.status, await answer.text(), tuple(kept)


@asynccontextmanager
async def opened(vector: Vector) -> AsyncIterator[Door]:
    """A door at which it is always the moment of the vector."""
    clock = FakeClock(vector.now)
    house = House(auth=vector.auth, webhook_bytes=10_000)
    key_sets = KeySets(house.fetch, clock)
    examiner = Examiner(house.causes, key_sets, clock=clock, ids=SystemIds(clock))
    intake = WebhookIntake(house, house, examiner)

    async def accept(request: RawRequest) -> Answer:
        judged = await intake.verify(request)
        if isinstance(judged, Refusal):
            return answers.refused(judged)
        return judged if isinstance(judged, Answer) else Answer(status=202)

    app = web.Application()
    routes = webhook_routes(accept, lambda: None, integrations=accept, clock=SystemClock())
    app.add_routes(routes)
    listener = Listener(app)
    host, port = await listener.open("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
            yield Door(session, f"/webhooks/{ENDPOINT}")
    finally:
        await listener.close()


def can_be_sent(headers: Pairs) -> bool:
    """Whether a client of ours writes it as it stands, and a server hands it on so."""
    values = [value for _, value in headers]
    return all(each.isascii() and each.isprintable() and each == each.strip() for each in values)


@pytest.mark.parametrize("name", [name for name in VECTORS if not name.startswith("twilio")])
async def test_the_vector_is_taken_and_all_that_is_near_it_gets_one_answer(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Those who publish vectors have short secrets in them, which no door would take.
    monkeypatch.setattr(signing, "SHORTEST_SECRET", 1)
    vector = VECTORS[name]
    token = not vector.covers_body
    seen: set[Seen] = set()
    async with opened(vector) as door:
        assert (await door.send(vector.headers, vector.body))[0] == 202
        tried = 0
        for what, headers, body in mutations(vector):
            same = (headers, body) == (vector.headers, vector.body)
            if same or not can_be_sent(headers) or (token and body != vector.body):
                continue
            answer = await door.send(headers, body)
            assert answer[0] == 401, what
            seen.add(answer)
            tried += 1
    assert tried >= 15
    assert len(seen) == 1
    assert "signature" in seen.pop()[1]


async def test_a_huge_header_and_one_that_is_no_utf_8_are_refused_alike() -> None:
    vector = VECTORS["github"]
    async with opened(vector) as door:
        plain = await door.send([(vector.header, "sha256=00")], vector.body)
        huge = await door.send([(vector.header, "0" * 7_000)], vector.body)
        odd = await door.send([(vector.header, "sha256=\u00e9\u20ac")], vector.body)
    assert plain == huge == odd
    assert plain[0] == 401
