"""Whether an event of the right type is one that a trigger wants, and which rule decided."""

from dataclasses import dataclass

from amodal_rt.domain import filter as algebra
from amodal_rt.domain.event import Event
from amodal_rt.domain.glob import fits, is_glob
from amodal_rt.domain.identity import Identities, comparable
from amodal_rt.domain.params import all_hold, mismatch
from amodal_rt.domain.trigger import Wanted
from amodal_rt.triggers.starts import MEMBER, member_behind


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the event is wanted, and `rule`, in one line, why or why not."""

    passes: bool
    rule: str


def is_wanted(wanted: Wanted, event: Event, identities: Identities) -> bool:
    """`judge_wanted` without the words: what is asked for every event of every automation."""
    return (
        all_hold(wanted.params, event.data)
        and (wanted.filter is None or algebra.passes(wanted.filter, event.data))
        and (wanted.actors is None or _is_among(event.actor, wanted.actors, identities))
    )


def judge_wanted(wanted: Wanted, event: Event, identities: Identities) -> Verdict:
    """All of `params` AND `filter` AND one of `actors`; the first that fails decides."""
    said: list[str] = []
    wrong = mismatch(wanted.params, event.data)
    if wrong is not None:
        return Verdict(False, wrong)
    if wanted.params:
        said.append("params " + ", ".join(each.key for each in wanted.params))
    if wanted.filter is not None:
        verdict = algebra.judge(wanted.filter, event.data)
        if not verdict.passes:
            return Verdict(False, f"filter: {verdict.rule}")
        said.append(f"filter: {verdict.rule}")
    if wanted.actors is not None:
        found = f"actors: it is by {event.actor or 'nobody known'}"
        if not _is_among(event.actor, wanted.actors, identities):
            return Verdict(False, f"{found}, not by {', '.join(wanted.actors)}")
        said.append(found)
    return Verdict(True, " and ".join(said))


def _is_among(actor: str | None, allowed: tuple[str, ...], identities: Identities) -> bool:
    if actor is None:
        return False
    member, actor = member_behind(actor, identities), comparable(actor)
    for each in allowed:
        account = comparable(each)
        if account == actor or (is_glob(each) and fits(account, actor)):
            return True
        if member is not None and each.removeprefix(MEMBER) == member:
            return True
    return False
