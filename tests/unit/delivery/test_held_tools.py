"""Who hears of tools that wait for an approval."""

from amodal_rt.delivery.sightings import held_tools
from amodal_rt.domain.condition import ConditionKind


def test_a_connection_with_tools_that_are_off_is_one_condition_that_names_the_verbs() -> None:
    [seen] = held_tools({"crm": ("send\x1b[31m", "export")})

    assert seen.key == f"{ConditionKind.TOOLS_HELD} crm"
    assert seen.detail == (
        "send, export. Look: ops connections tools crm; then: ops connections approve crm"
    )


def test_nothing_is_wrong_where_all_tools_are_as_they_were() -> None:
    assert held_tools({}) == []
