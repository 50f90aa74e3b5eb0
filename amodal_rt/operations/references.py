"""What callers of other platforms name things by: one suffix, and a prefix for each façade."""

from collections.abc import Mapping
from types import MappingProxyType

from amodal_rt import ids
from amodal_rt.errors import NotFoundError
from amodal_rt.operations import asked
from amodal_rt.ports import Catalogue

_RUN_PREFIXES = ("run_", "atr_", "arun_", "auto_run_", "thrd_")
_LONGEST = 200


def run_id_of(reference: str) -> str:
    """`run_…` for the run that `atr_…`, `arun_…`, `auto_run_…` or `thrd_…` names.

    Raises NotFoundError for what is no run's id.
    """
    for prefix in _RUN_PREFIXES:
        suffix = reference.removeprefix(prefix)
        if suffix != reference and suffix.isascii() and suffix.isalnum():
            return f"run_{suffix}"
    raise NotFoundError("there is no such run", code="run_not_found")


class Names:
    """From an automation's id, stem or `lookupKey` to its name, counted again at each reload."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._version: int | None = None
        self._names: Mapping[str, str] = MappingProxyType({})

    def find(self, reference: str) -> str:
        """The automation's name. An id counts before a stem, and a stem before a `lookupKey`.

        Raises NotFoundError with the nearest name.
        """
        snapshot = self._catalogue.snapshot()
        if snapshot.version != self._version:
            names: dict[str, str] = {}
            for name, state in snapshot.automations.items():
                parsed = state.definition.automation if state.definition else None
                if parsed and parsed.lookup_key:
                    names[parsed.lookup_key] = name
            names |= {name: name for name in snapshot.automations}
            names |= {ids.automation(name): name for name in snapshot.automations}
            self._names, self._version = names, snapshot.version
        if reference not in self._names:
            raise asked.unknown("automation", reference[:_LONGEST], snapshot.automations)
        return self._names[reference]
