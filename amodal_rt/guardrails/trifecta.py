"""What an automation combines: private data, untrusted input, and a way out for both.

One alone harms nobody, nor do two. Where all three meet, text of strangers may send away what is
none of their business, so that a person has to have accepted it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from amodal_rt.domain.automation import Automation, CommandRun
from amodal_rt.domain.connection import AuthType, Connection, Protocol
from amodal_rt.domain.delivery import TargetType
from amodal_rt.domain.profile import BASH, Isolation, Profile
from amodal_rt.guardrails.grants import BUILT_IN, Grants

TRIFECTA = "trifecta"
"""The name by which `acknowledge` accepts it."""


@dataclass(frozen=True, slots=True)
class Trifecta:
    """Each part, in words."""

    private: str
    untrusted: str
    outward: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a run holds: its automation, the connections that it may use, and the profile of its
    programs, None where it runs none."""

    automation: Automation
    granted: tuple[Connection, ...]
    profile: Profile | None

    def find_trifecta(self) -> Trifecta | None:
        """The three, or None where one is missing."""
        private, untrusted, outward = self.find_private(), self._untrusted(), self._outward()
        if private is None or untrusted is None or outward is None:
            return None
        return Trifecta(private, untrusted, outward)

    def find_private(self) -> str | None:
        """What not everybody sees: behind a proof of who asks, on this machine, or a secret."""
        for each in self.granted:
            if _is_private(each):
                return f"connection {each.name}"
        profile = self.profile
        if profile is None:
            return None
        if profile.isolation is Isolation.NONE:
            return f"this machine, in {profile.label}"
        for mount in profile.mounts:
            return f"{mount.source}, in {profile.label}"
        for name in profile.secrets:
            return f"the variable {name} of {profile.label}"
        return None

    def find_way_out(self) -> str | None:
        """Whom its programs reach, who may tell others what is sent to them."""
        profile = self.profile
        if profile is None:
            return None
        if profile.isolation is Isolation.NONE:
            return f"the network, in {profile.label}"
        return f"{profile.network[0]}, in {profile.label}" if profile.network else None

    def _untrusted(self) -> str | None:
        """Whose text it reads: a sender's; a public service's; what a program that a model steers
        finds on the network; where it may write, anybody's who can leave a text behind one of its
        connections."""
        automation = self.automation
        if automation.webhook is not None:
            return "a webhook"
        if automation.events:
            return f"the event {automation.events[0].conditions[0].event}"
        for each in self.granted:
            strange = each.external and each.protocol is not Protocol.RUNTIME
            if strange and (automation.write_enabled or not _is_private(each)):
                return f"connection {each.name}"
        if isinstance(automation.work, CommandRun):
            return None
        way = self.find_way_out()
        return f"what comes from {way}" if way is not None else None

    def _outward(self) -> str | None:
        automation = self.automation
        if automation.write_enabled:
            for each in self.granted:
                if each.protocol is not Protocol.RUNTIME:
                    return f"writes over {each.name}"
        way = self.find_way_out()
        if way is not None:
            return f"programs that reach {way}"
        for target in automation.delivery.targets if automation.delivery else ():
            if target.type is not TargetType.CALLBACK:
                return f"delivery to {target.label}"
        return None


def holdings_of(
    automation: Automation,
    grants: Grants,
    connections: Mapping[str, Connection],
    profile: Profile | None,
) -> Holdings:
    """What runs of it hold. `profile` is the one that it names, whether programs run in it or
    not."""
    granted: Iterable[Connection] = ()
    if not isinstance(automation.work, CommandRun):
        # A command knows no connections.
        granted = (each for name, each in sorted(connections.items()) if grants.connection(name))
    used = profile if profile is not None and _runs_programs(automation, grants, profile) else None
    return Holdings(automation, tuple(granted), used)


def _runs_programs(automation: Automation, grants: Grants, profile: Profile) -> bool:
    return isinstance(automation.work, CommandRun) or (
        BASH in profile.tools and grants.built_in(BASH, BUILT_IN)
    )


def _is_private(connection: Connection) -> bool:
    """Whether it shows what not everybody sees: it proves who it is."""
    if connection.protocol is Protocol.RUNTIME:
        return False
    return connection.auth.type is not AuthType.NONE or bool(connection.secrets)
