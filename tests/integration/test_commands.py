"""Commands of automations, in real sandboxes: from an event to a result on record."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from agent_house import AgentHouse
from sandbox_scene import BOX, NEEDED

from amodal_rt.domain.automation import CommandRun
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.profile import Isolation, NetworkHost, Profile, ProfileName, RunProfile
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.domain.secret import SecretRef
from amodal_rt.executors.command.executor import CommandExecutor

pytestmark = NEEDED

WRITER = NetworkHost(host="x.example")
BARE = replace(BOX, name="bare", isolation=Isolation.NONE)


async def command(
    house: AgentHouse, *argv: str, profile: Profile = BOX, event: object = ..., **changes: Any
) -> Outcome:
    house.profiles = [profile]
    named = ProfileName(profile.name)
    automation = house.automation(work=CommandRun(argv), profile=named, **changes)
    return await house.run(automation, event=event)


def sh(line: str) -> tuple[str, ...]:
    return "/bin/sh", "-c", line


async def test_the_event_comes_in_and_what_is_printed_is_the_result(house: AgentHouse) -> None:
    outcome = await command(house, *sh("cat"), event={"id": 7, "text": "straße"})

    assert outcome.status is RunStatus.COMPLETED
    assert outcome.text == '{"id": 7, "text": "straße"}'
    assert outcome.payload == {"id": 7, "text": "straße"}
    assert house.types()[:2] == ["tool.started", "tool.finished"]
    started, finished = (each.data for each in house.entries[:2])
    assert (started["profile"], started["isolation"]) == ("box@1", "bubblewrap")
    assert (finished["code"], finished["ended"]) == (0, "exited")


async def test_only_a_closed_sandbox_without_an_event_has_read_no_stranger(
    house: AgentHouse,
) -> None:
    alone = await command(house, *sh("echo https://evil.example"))
    told = await command(house, *sh("cat"), event={"id": 7})
    outside = await command(house, *sh("true"), profile=replace(BOX, network=(WRITER,)),
                            write_enabled=True)  # fmt: skip

    assert [each.origin.tainted for each in (alone, told, outside)] == [False, True, True]


async def test_an_exit_code_fails_the_run_with_the_last_complaint(house: AgentHouse) -> None:
    outcome = await command(house, *sh("echo some; echo first >&2; echo 'no disk' >&2; exit 3"))

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.ERROR)
    assert outcome.error == "/bin/sh exited with 3: no disk"


@pytest.mark.parametrize(
    ("line", "reason", "said"),
    [
        ("sleep 60", FailedReason.TIMED_OUT, "did not end within 1 seconds (timeoutSeconds"),
        ("yes", FailedReason.ERROR, "printed more than 65,536 bytes (outputBytes"),
        ("kill -9 $$", FailedReason.ERROR, "was ended by signal 9"),
    ],
)
async def test_what_breaks_a_bound_fails_and_names_the_line(
    house: AgentHouse, line: str, reason: FailedReason, said: str
) -> None:
    house.clock.factor = 1
    short = replace(BOX, bounds=replace(BOX.bounds, timeout=timedelta(seconds=1)))

    outcome = await command(house, *sh(line), profile=short)

    assert outcome.reason == reason
    assert said in (outcome.error or "")


async def test_granted_secrets_reach_the_program_and_nothing_that_is_kept(
    house: AgentHouse,
) -> None:
    house.environment |= {"TOKEN": "s3cr3t-granted", "OTHER": "s3cr3t-other"}
    granted = replace(BOX, environment={"MINE": SecretRef("TOKEN")}, secrets=("TOKEN",))

    outcome = await command(
        house, *sh("env; echo $MINE >&2; test ${#MINE} = 14 && echo right"), profile=granted
    )

    assert "right" in (outcome.text or "")
    assert "s3cr3t" not in (outcome.text or "")
    assert "s3cr3t" not in house.journal_text()


async def test_a_program_that_may_change_something_is_a_write(house: AgentHouse) -> None:
    reaching = replace(BOX, network=(WRITER,))

    refused = await command(house, "/bin/true", profile=reaching)
    types = house.types()
    allowed = await command(house, "/bin/true", profile=reaching, write_enabled=True)

    assert refused.status is RunStatus.FAILED
    assert "automations/auto.json:7" in (refused.error or "")
    assert types == ["tool.denied"]
    assert (allowed.status, allowed.wrote) == (RunStatus.COMPLETED, True)
    assert house.types() == ["write.started", "write.finished", "run.tainted"]


async def resumed(house: AgentHouse, profile: Profile, **changes: Any) -> Outcome:
    """The outcome of a run whose process died while the program ran."""
    house.profiles = [profile]
    automation = house.automation(
        work=CommandRun(sh("echo again")), profile=ProfileName("box"), **changes
    )
    context = await house.context(automation)
    executor = CommandExecutor(house.executor.services)
    hanging = replace(automation, work=CommandRun(sh("sleep 60")))
    definition = replace(context.definition, automation=hanging)
    first = asyncio.ensure_future(executor.execute(replace(context, definition=definition)))
    run_id = context.run.run_id
    while not await house.ledger.entries(run_id):
        await house.clock.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    run = replace(context.run, resumes=1, attempt=2)
    journal = replace(context.journal, attempt=2)  # pyright: ignore[reportArgumentType]
    return await executor.execute(replace(context, run=run, journal=journal))


async def test_a_harmless_program_that_was_cut_off_runs_again(house: AgentHouse) -> None:
    outcome = await resumed(house, BOX)

    assert (outcome.status, outcome.text) == (RunStatus.COMPLETED, "again")


async def test_one_that_may_have_changed_something_does_not(house: AgentHouse) -> None:
    outcome = await resumed(house, replace(BOX, network=(WRITER,)), write_enabled=True)

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.INTERRUPTED)
    assert "unknown" in (outcome.error or "")


async def test_a_version_that_changed_after_its_first_use_does_not_run(house: AgentHouse) -> None:
    await command(house, "/bin/true")

    outcome = await command(house, "/bin/true", profile=replace(BOX, hash="other"))

    assert outcome.status is RunStatus.FAILED
    assert "is not what it was when a run first used it" in (outcome.error or "")


async def test_a_program_that_is_not_there_is_said_not_to_be(house: AgentHouse) -> None:
    outcome = await command(house, "no-such-program", profile=BARE, write_enabled=True)

    assert outcome.error == (
        "no-such-program exited with 127: no-such-program: no such program in /bin:/usr/bin"
    )


async def test_a_program_that_cannot_be_executed_is_said_not_to_be(
    house: AgentHouse, tmp_path: Path
) -> None:
    (plain := tmp_path / "plain").write_text("no program")

    outcome = await command(house, str(plain), profile=BARE, write_enabled=True)

    assert outcome.error == f"{plain} exited with 127: {plain}: Permission denied"


async def test_a_run_keeps_the_version_that_it_began_in(house: AgentHouse) -> None:
    newer = replace(BOX, version=2, hash="newer", environment={"WHICH": "two"})
    house.profiles = [replace(BOX, environment={"WHICH": "one"}), newer]
    automation = house.automation(work=CommandRun(sh("echo $WHICH")), profile=ProfileName("box"))
    context = await house.context(automation)
    began = RunProfile(label="box@1", hash="h", isolation=BOX.isolation)
    executor = CommandExecutor(house.executor.services)

    fresh = await executor.execute(context)
    context = await house.context(automation)
    going_on = await executor.execute(replace(context, run=replace(context.run, profile=began)))

    assert (fresh.text, going_on.text) == ("two", "one")


async def test_a_rehearsal_runs_nothing(house: AgentHouse) -> None:
    house.profiles = [BOX]
    automation = house.automation(work=CommandRun(sh("echo did")), profile=ProfileName("box"))

    outcome = await house.run(automation, rehearse=True)

    assert outcome.rehearsed
    assert outcome.text == "[rehearsal] would run in box@1: /bin/sh -c echo did"
    assert house.of(EntryType.TOOL_STARTED) == []


async def test_a_long_result_is_kept_whole(house: AgentHouse) -> None:
    outcome = await command(house, *sh("head -c 60000 /dev/zero | tr '\\0' x"))

    assert outcome.text == "x" * 60_000
