"""The index answers what one look at every automation would, in the same order."""

from dataclasses import dataclass
from typing import Any

from event_desk import event, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from amodal_rt.clock import SystemClock
from amodal_rt.definitions.filtering import parse_filter, parse_params
from amodal_rt.domain.automation import AgentWork, Automation, ChatMessage, Definition
from amodal_rt.domain.filter import passes
from amodal_rt.domain.glob import fits
from amodal_rt.domain.params import mismatch
from amodal_rt.domain.trigger import EventCondition, EventTrigger, Trigger, Wanted
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ids import SystemIds
from amodal_rt.triggers.index import REMEMBERED, EventIndex
from amodal_rt.triggers.matching import Matching

TYPES = ("a.x", "a.y", "b.x", "b.x.y", "plain")
NAMES = (*TYPES, "a.*", "*.x", "*", "b.*.y", "c.*")
VALUES = st.sampled_from(["1", None]) | st.booleans() | st.integers(0, 1) | st.just(1.0)


@dataclass(frozen=True)
class Asked:
    """One condition, as plain values."""

    event: str
    params: dict[str, object]
    filter: dict[str, object] | None
    actors: tuple[str, ...] | None

    def condition(self) -> EventCondition:
        return EventCondition(
            event=self.event,
            wanted=Wanted(
                params=parse_params(self.params),
                filter=parse_filter(self.filter),
                actors=self.actors,
            ),
        )


ASKED = st.builds(
    Asked,
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(["k", "l"]), VALUES, max_size=1),
    st.none()
    | st.builds(lambda value: {"k": value}, VALUES)
    | st.builds(lambda one, other: {"l": {"in": [one, other]}, "k": one}, VALUES, VALUES)
    | st.builds(lambda value: {"op": "not", "filter": {"k": value}}, VALUES),
    st.none() | st.sampled_from([("github:ada",), ("slack:*",), ("github:*", "slack:U1")]),
)
# More than so few that nothing is looked up.
AUTOMATIONS = st.lists(st.lists(ASKED, max_size=3), max_size=16)
DATA: st.SearchStrategy[Any] = st.none() | st.dictionaries(
    st.sampled_from(["k", "l"]), VALUES | st.lists(VALUES, max_size=3) | st.just({}), max_size=2
)


def defined(name: str, *asked: Asked) -> Definition:
    trigger: list[Trigger] = []
    if asked:
        trigger.append(EventTrigger(conditions=tuple(each.condition() for each in asked), key="0"))
    automation = Automation(
        name=name,
        title=name,
        work=AgentWork(messages=(ChatMessage("user", "x"),)),
        triggers=tuple(trigger),
    )
    return Definition(
        automation=automation, hash=name, document="{}", file=f"automations/{name}.json"
    )


@settings(max_examples=150, deadline=None)
@given(
    AUTOMATIONS,
    st.lists(
        st.tuples(st.sampled_from(TYPES), DATA, st.sampled_from([None, "github:ada", "slack:U1"])),
        min_size=1,
        max_size=4,
    ),
)
def test_it_agrees_with_a_look_at_every_automation(
    automations: list[list[Asked]], happened: list[tuple[str, Any, str | None]]
) -> None:
    files = snapshot(
        *(defined(f"auto-{number}", *asked) for number, asked in enumerate(automations))
    )
    matching = Matching(SystemIds(SystemClock()))

    for type, data, actor in happened:
        one = event(type, data or {}, actor=actor)
        found, missed = matching.starts_for(one, files, {}, now=one.time)
        expected = [
            f"auto-{number}"
            for number, asked in enumerate(automations)
            if any(_naive(each, type, one.data, actor) for each in asked)
        ]
        assert sorted(each.automation for each in found) == sorted(expected)
        assert missed == sum(bool(asked) for asked in automations) - len(expected)
        anybody = any(fits(each.event, type) for asked in automations for each in asked)
        assert matching.wants(type, files) is anybody


def _naive(asked: Asked, type: str, data: object, actor: str | None) -> bool:
    wanted = asked.condition().wanted
    return (
        fits(asked.event, type)
        and mismatch(wanted.params, data) is None
        and (wanted.filter is None or passes(wanted.filter, data))
        and (
            wanted.actors is None
            or (actor is not None and any(fits(each, actor) for each in wanted.actors))
        )
    )


def test_senders_who_invent_types_fill_no_memory() -> None:
    index = EventIndex(snapshot(defined("a", Asked("a.*", {}, None, None))))

    for number in range(3 * REMEMBERED):
        assert len(index.waiting_for(f"a.{number}").all) == 1
        assert index.waiting_for(f"b.{number}").all == ()

    assert len(vars(index)["_known"]) <= REMEMBERED


def test_nothing_is_waited_for_in_an_empty_workspace() -> None:
    index = EventIndex(Snapshot(version=1))

    assert (index.count, index.waiting_for("a.b").all, index.own_accounts) == (0, (), frozenset())
