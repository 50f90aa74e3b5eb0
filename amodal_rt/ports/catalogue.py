"""The workspace, as the other rooms read it."""

from collections.abc import Sequence
from typing import Protocol

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.settings import Environment


class Catalogue(Protocol):
    """The current reading of the workspace."""

    def snapshot(self) -> Snapshot:
        """The newest complete snapshot; never half of a reload."""
        ...

    def environment(self) -> Environment:
        """The variables that definitions may use, as last read."""
        ...


class VersionedCatalogue(Catalogue, Protocol):
    """The workspace with what it was."""

    async def find_version(self, name: str, hash: str) -> Definition | None:
        """A version of the automation that was live once, by its hash; its named targets are
        those of now. None when it is not kept, or cannot be read any more."""
        ...


class Versions(Protocol):
    """What automations were."""

    async def versions(self, name: str) -> Sequence[Definition]:
        """All versions of the automation that are kept and can be read, the newest first."""
        ...
