"""Who waits for which type of event: one look instead of one for each automation."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.glob import fits, is_glob
from amodal_rt.domain.identity import comparable
from amodal_rt.domain.trigger import EventCondition
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.triggers.waiting import Waiting, Watch

REMEMBERED = 1_024
"""Types of which it is remembered who waits for them: senders choose how many there are."""


class EventIndex:
    """The conditions of every automation that can run now, by the type that they ask for.

    A glob is compared with each type once, however many automations name it.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        exact: dict[str, list[Watch]] = {}
        globs: dict[str, list[Watch]] = {}
        count = 0
        for place, (definition, condition) in enumerate(_conditions(snapshot)):
            event = condition.event
            waiting = (globs if is_glob(event) else exact).setdefault(event, [])
            waiting.append(Watch(place, definition, condition))
        for name in snapshot.automations:
            definition = snapshot.find(name)
            count += bool(definition and definition.automation.events)
        self.count = count
        """How many automations wait for any event at all."""
        self.own_accounts = own_accounts(snapshot)
        """Those that this runtime itself acts as, elsewhere."""
        self._named: Mapping[str, list[Watch]] = {**exact, **globs}
        self._globs = tuple(globs)
        self._known: OrderedDict[str, Waiting] = OrderedDict()
        self._made: dict[tuple[str, ...], Waiting] = {}

    def waiting_for(self, type: str) -> Waiting:
        """Every condition that asks for the type."""
        known = self._known.get(type)
        if known is not None:
            self._known.move_to_end(type)
            return known
        names = [type] if type in self._named and not is_glob(type) else []
        names += [glob for glob in self._globs if fits(glob, type)]
        # Types that senders invent all fit the same globs: what is made for one serves them all.
        waiting = self._made.get(tuple(names))
        if waiting is None:
            waiting = Waiting(each for name in names for each in self._named[name])
            if len(self._made) >= REMEMBERED:
                self._made.clear()
            self._made[tuple(names)] = waiting
        self._known[type] = waiting
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return waiting


def own_accounts(snapshot: Snapshot) -> frozenset[str]:
    """The accounts of integrations and connections, as they are compared: what they cause, we
    caused."""
    accounts = {each for one in snapshot.integrations.values() for each in one.own_accounts}
    accounts |= {each.account for each in snapshot.connections.values() if each.account}
    return frozenset(map(comparable, accounts))


def _conditions(snapshot: Snapshot) -> Iterator[tuple[Definition, EventCondition]]:
    for name in sorted(snapshot.automations):
        definition = snapshot.find(name)
        for trigger in definition.automation.events if definition else ():
            for condition in trigger.conditions:
                assert definition is not None, "it has triggers"
                yield definition, condition
