"""`ports.DefinitionArchive`, sentence by sentence."""

from dataclasses import replace

from ledger_values import HOUR, NOW

from amodal_rt.ports import ArchivedDefinition, Ledger, LiveDates

FIRST = ArchivedDefinition(
    kind="automation",
    name="digest",
    hash="1" * 64,
    document='{"title":"Digest ü"}',
    file="automations/digest.json",
    recorded_at=NOW,
)
SECOND = replace(FIRST, hash="2" * 64, document="{}", recorded_at=NOW + HOUR)
OTHER = replace(FIRST, kind="agent", hash="3" * 64)


async def test_each_version_is_kept_and_live(ledger: Ledger) -> None:
    await ledger.record_live([FIRST, OTHER])

    assert await ledger.live() == [OTHER, FIRST]
    assert await ledger.find_definition(FIRST.hash) == FIRST
    assert await ledger.find_definition(OTHER.hash) == OTHER


async def test_a_newer_version_is_the_live_one_and_the_older_is_kept(ledger: Ledger) -> None:
    await ledger.record_live([FIRST])
    await ledger.record_live([SECOND])

    assert await ledger.live() == [SECOND]
    assert await ledger.find_definition(FIRST.hash) == FIRST


async def test_the_versions_of_a_name_come_newest_first(ledger: Ledger) -> None:
    third = replace(SECOND, hash="0" * 64)
    for version in (FIRST, SECOND, third, OTHER, replace(FIRST, name="hook", hash="4" * 64)):
        await ledger.record_live([version])
    await ledger.forget_live("automation", "digest")

    assert await ledger.versions_of("automation", "digest") == [third, SECOND, FIRST]
    assert await ledger.versions_of("automation", "digest", limit=1) == [third]
    assert await ledger.versions_of("agent", "hook") == []


async def test_an_older_version_can_be_live_again(ledger: Ledger) -> None:
    for version in (FIRST, SECOND, FIRST):
        await ledger.record_live([version])

    assert await ledger.live() == [FIRST]


async def test_a_version_that_moved_to_another_file_is_live_there(ledger: Ledger) -> None:
    await ledger.record_live([FIRST])
    moved = replace(FIRST, file="automations/digest.md")

    await ledger.record_live([moved])

    assert await ledger.live() == [moved]


async def test_a_file_that_is_gone_leaves_its_version_but_nothing_live(ledger: Ledger) -> None:
    await ledger.record_live([FIRST, OTHER])

    await ledger.forget_live("automation", "digest")

    assert await ledger.live() == [OTHER]
    assert await ledger.find_definition(FIRST.hash) == FIRST


async def test_a_name_is_as_old_as_its_first_version_until_it_is_given_up(ledger: Ledger) -> None:
    await ledger.record_live([FIRST, OTHER])
    await ledger.record_live([SECOND])
    changed = await ledger.live_dates("automation")
    await ledger.forget_live("automation", "digest")
    await ledger.record_live([SECOND])

    assert changed == {"digest": LiveDates(created_at=NOW, updated_at=NOW + HOUR)}
    assert await ledger.live_dates("automation") == {
        "digest": LiveDates(created_at=NOW + HOUR, updated_at=NOW + HOUR)
    }


async def test_two_names_may_have_one_text(ledger: Ledger) -> None:
    twin = replace(FIRST, name="twin", file="automations/twin.json")

    await ledger.record_live([FIRST, twin])
    await ledger.forget_live("automation", "digest")

    assert await ledger.live() == [twin]


async def test_of_several_names_with_one_text_each_is_found_by_its_own(ledger: Ledger) -> None:
    twin = replace(FIRST, name="twin", file="automations/twin.json", recorded_at=NOW + HOUR)
    await ledger.record_live([FIRST, twin])

    for version in (FIRST, twin):
        found = await ledger.find_definition(FIRST.hash, kind="automation", name=version.name)
        assert found == version
    assert await ledger.find_definition(FIRST.hash) == twin
    assert await ledger.find_definition(FIRST.hash, kind="agent", name="digest") is None


async def test_nothing_live_is_nothing_recorded(ledger: Ledger) -> None:
    await ledger.record_live([])

    assert await ledger.live() == []


async def test_unknown_versions_are_none(ledger: Ledger) -> None:
    assert await ledger.find_definition("9" * 64) is None
