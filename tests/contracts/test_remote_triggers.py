"""`ports.RemoteTriggerLedger`, sentence by sentence."""

from dataclasses import replace

from ledger_values import HOUR, NOW

from amodal_rt.domain.remote_trigger import RemoteState, RemoteTrigger
from amodal_rt.ports import Ledger


def trigger(automation: str = "triage", key: str = "event:0", **changed: object) -> RemoteTrigger:
    plain = RemoteTrigger(
        automation=automation,
        key=key,
        connection="mail",
        type="mail.received",
        params={"folder": "inbox", "from": "é"},
        digest="a" * 64,
        state=RemoteState.ACTIVE,
        configured_at=NOW,
    )
    return replace(plain, **changed)


async def test_triggers_come_by_automation_and_key(ledger: Ledger) -> None:
    given = [trigger("b"), trigger("a", "event:1"), trigger("a", "event:0", params={})]
    for each in given:
        await ledger.set_remote_trigger(each)

    assert await ledger.remote_triggers() == [given[2], given[1], given[0]]


async def test_a_trigger_is_replaced_whole_and_its_siblings_are_left_alone(ledger: Ledger) -> None:
    sibling = trigger(key="event:1", digest="b" * 64)
    await ledger.set_remote_trigger(trigger(error="it was away"))
    await ledger.set_remote_trigger(sibling)
    new = trigger(
        connection="post",
        type="post.came",
        params={"x": "1"},
        digest="c" * 64,
        state=RemoteState.AMBIGUOUS,
        configured_at=NOW + HOUR,
    )

    await ledger.set_remote_trigger(new)

    assert await ledger.remote_triggers() == [new, sibling]


async def test_a_failure_says_why(ledger: Ledger) -> None:
    failed = trigger(state=RemoteState.FAILED, error="no such folder: \udcff")

    await ledger.set_remote_trigger(failed)

    (found,) = await ledger.remote_triggers()
    assert (found.state, found.error) == (RemoteState.FAILED, "no such folder: \\udcff")


async def test_one_is_forgotten_alone_and_twice_without_harm(
    ledger: Ledger, another: Ledger
) -> None:
    kept = [trigger("a"), trigger("b", "event:1")]
    for each in (*kept, trigger("b")):
        await ledger.set_remote_trigger(each)

    await another.remove_remote_trigger("b", "event:0")
    await ledger.remove_remote_trigger("b", "event:0")

    assert await ledger.remote_triggers() == kept
