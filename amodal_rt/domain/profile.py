"""A sandbox profile: where programs run, what they see of the machine, and how much of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from amodal_rt.domain.connection import Intent
from amodal_rt.domain.secret import Text

REFERENCE = re.compile(r"(?P<name>[a-z0-9][a-z0-9_-]{0,63})(?:@(?P<version>[1-9][0-9]{0,5}))?")
"""How a profile is named: `build`, or `build@3`."""
BASH = "bash"
"""The tool that an agent has in a profile that grants it."""


class Isolation(StrEnum):
    """What keeps a program apart from the machine. NONE is nothing, and must be spelt out."""

    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ProfileName:
    """`build`, the latest version, or `build@3`."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder or file of the machine, seen inside at `target`. A `source` that does not begin
    with `/` counts from the workspace."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkHost:
    """A host that may be reached at one port. `host` is a name or an address, or a pattern:
    `*.example.com` for every name below it, `*` for all. READ tells that a reviewer takes
    nothing that is sent there for a change of the world."""

    host: str
    port: int = 443
    intent: Intent = Intent.WRITE

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much of the machine: bytes of memory, CPUs (1.5 is one and a half), processes and
    threads, how long one program may take, and bytes of each of its two outputs."""

    memory: int = 512 * 1024 * 1024
    cpus: float = 1.0
    processes: int = 128
    timeout: timedelta = timedelta(seconds=300)
    output: int = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One file of `profiles/<name>/`.

    `base` is the folder that the root is made of, None for the machine's own programs. `tools`
    are those that agents have in it; `agent` is who works in it where an automation names
    nobody; `connections` bounds what runs in it may use, None for no bound. `hash` is the
    SHA-256 (hex) of `document`, the canonical JSON of the file; `secrets` names the variables
    that its environment needs.
    """

    name: str
    version: int
    hash: str
    document: str
    file: str
    isolation: Isolation = Isolation.BUBBLEWRAP
    base: str | None = None
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, Text] = field(default_factory=dict[str, Text])
    network: tuple[NetworkHost, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    tools: tuple[str, ...] = ()
    agent: str | None = None
    connections: tuple[str, ...] | None = None
    secrets: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """`build@3`."""
        return f"{self.name}@{self.version}"

    @property
    def harms(self) -> str | None:
        """What a program in it can change that outlives it, in words; None when nothing."""
        if self.isolation is Isolation.NONE:
            return "it runs without isolation"
        for mount in self.mounts:
            if mount.writable:
                return f"{mount.target} is writable"
        for each in self.network:
            if each.intent is Intent.WRITE:
                return f"it may reach {each}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProfile:
    """What a run has on record of the profile that it began in."""

    label: str
    hash: str
    isolation: Isolation


def parse_reference(text: str) -> ProfileName | None:
    """`build` or `build@3`; None for anything else."""
    found = REFERENCE.fullmatch(text)
    if found is None:
        return None
    return ProfileName(found["name"], int(found["version"]) if found["version"] else None)


def find_profile(versions: Sequence[Profile], wanted: ProfileName) -> Profile | None:
    """The named version among those of all profiles, or the latest where none is named."""
    own = [each for each in versions if each.name == wanted.name]
    if wanted.version is None:
        return max(own, key=lambda each: each.version, default=None)
    return next((each for each in own if each.version == wanted.version), None)


def used_key(label: str) -> str:
    """The key of the fact that says which text a version had when it was first used."""
    return f"profile:{label}"
