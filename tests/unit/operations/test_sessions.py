"""Sessions: how long they last, and what ends them."""

import pytest
from desk import ADA, Files

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.token import Scope
from amodal_rt.errors import DeniedError, UnavailableError
from amodal_rt.ids import SystemIds
from amodal_rt.intake.endpoints import Endpoints
from amodal_rt.operations import sessions as rooms
from amodal_rt.operations.address import Address
from amodal_rt.operations.sessions import LIFE_SECONDS, LINK_SECONDS, Sessions
from amodal_rt.operations.tokens import Tokens
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger.ledger import MemoryLedger

URL = "http://127.0.0.1:3847"


class Front:
    """Sessions over a ledger in memory, and a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        ids = SystemIds(self.clock)
        self.ledger = MemoryLedger(clock=self.clock)
        self.tokens = Tokens(self.ledger, signals=ProcessSignals(), clock=self.clock, ids=ids)
        files = Files()
        self.address = Address(files, Endpoints(b"key", files, self.ledger))
        self.address.bound = URL
        self.sessions = Sessions(self.tokens, self.ledger, self.address, clock=self.clock, ids=ids)

    async def token(self, *scopes: str, name: str = "ops") -> str:
        return str((await self.tokens.create(ADA, name, scopes))["secret"])

    async def code(self) -> str:
        return str((await self.sessions.make_link(ADA))["url"]).rpartition("/")[2]


@pytest.fixture
def front() -> Front:
    return Front()


async def test_a_session_can_do_what_its_token_can(front: Front) -> None:
    secret = await front.sessions.sign_in(await front.token("read", "trigger"))

    session = front.sessions.find(secret)

    assert session is not None
    assert (session.actor, session.caller.door) == ("token:ops", "dashboard")
    assert [each for each in Scope if session.allows(each)] == [Scope.READ, Scope.TRIGGER]


async def test_it_is_over_after_its_time_however_busy(front: Front) -> None:
    secret = await front.sessions.sign_in(await front.token("manage"))
    await front.clock.advance(LIFE_SECONDS - 1)
    session = front.sessions.find(secret)
    assert session is not None
    assert front.sessions.lasts(session)

    await front.clock.advance(1)

    assert not front.sessions.lasts(session)
    assert front.sessions.find(secret) is None


async def test_a_link_is_over_after_five_minutes(front: Front) -> None:
    code = await front.code()
    await front.clock.advance(LINK_SECONDS)

    with pytest.raises(DeniedError) as refused:
        await front.sessions.follow_link(code)

    assert refused.value.code == "link_used"


async def test_a_link_counts_once(front: Front) -> None:
    code = await front.code()
    session = front.sessions.find(await front.sessions.follow_link(code))

    with pytest.raises(DeniedError):
        await front.sessions.follow_link(code)

    assert session is not None
    assert (session.actor, session.allows(Scope.MANAGE)) == ("local", True)


async def test_a_link_leads_to_the_door_that_has_the_dashboard(front: Front) -> None:
    front.address.admin = "http://127.0.0.1:3848"

    link = await front.sessions.make_link(ADA)

    assert str(link["url"]).startswith("http://127.0.0.1:3848/dashboard/link/")
    assert link["expires_at"] == "2026-03-02T08:05:00Z"


async def test_without_a_door_there_is_no_link(front: Front) -> None:
    front.address.bound = None

    with pytest.raises(UnavailableError) as refused:
        await front.sessions.make_link(ADA)

    assert refused.value.code == "no_tcp_door"


async def test_the_secret_itself_is_kept_nowhere(front: Front) -> None:
    secret = await front.sessions.sign_in(await front.token("manage"))
    code = await front.code()

    kept = repr(vars(front.sessions))

    assert secret not in kept
    assert code not in kept


async def test_the_oldest_makes_room(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MOST", 2)
    token = await front.token("manage")

    first, *rest = [await front.sessions.sign_in(token) for _ in range(3)]

    assert front.sessions.find(first) is None
    assert all(front.sessions.find(each) for each in rest)
