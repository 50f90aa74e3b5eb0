"""Which nodes are listed: a daemon that was restarted all day buries no other."""

from datetime import timedelta

from amodal_rt.operations.nodes import Nodes
from amodal_rt.ports import Caller
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger

CALLER = Caller(actor="ada", door="cli")
MINUTE = timedelta(minutes=1)


async def test_those_gone_for_over_an_hour_are_listed_only_when_all_are_asked_for() -> None:
    clock = FakeClock()
    ledger = MemoryLedger(clock=clock)
    lives: list[str] = []
    # Each life ends with the beginning of the next.
    for minutes in (58, 2, 59, 1):
        life = await ledger.join(host="h", pid=1, version="1", lease=MINUTE)
        lives.insert(0, life)
        clock.jump(minutes * MINUTE)

    nodes = Nodes(ledger, clock=clock)
    recent, every = await nodes.list_recent(CALLER), await nodes.list_all(CALLER)

    assert [each["node_id"] for each in every] == lives
    assert [each["node_id"] for each in recent] == lives[:2]
    assert [each["status"] for each in recent] == ["living", "gone"]
