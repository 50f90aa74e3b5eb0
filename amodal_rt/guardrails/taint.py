"""What a run has read that strangers may have written, and what it may aim at from then on.

Once untrusted text was read, a value of it may fill content, and never say where something goes:
no host, no path or query of a write, no recipient, channel or account. Such a value must stand in
the workspace's files, or fit what the connection's `access.json` declares as its reach; and what
one service said goes to no other in a read. What the model makes of the rule is no matter: it is
asked nothing.
"""

from dataclasses import dataclass, field
from enum import StrEnum

MOST_CHARACTERS = 2_000_000
"""How much read text is kept of a run to tell where a value came from; what is longer is only
known to have been read."""


class SourceKind(StrEnum):
    """What brought untrusted text."""

    EVENT = "event"
    SUMMARY = "summary"
    TOOL = "tool"
    STORE = "store"
    PROGRAM = "program"
    DESCRIPTION = "description"


@dataclass(frozen=True, slots=True)
class Source:
    """Where untrusted text came from: `name` says it in words (`the event`, `GET /x of crm`);
    `connection` whose text it is."""

    kind: SourceKind
    name: str
    connection: str | None = None


@dataclass(slots=True)
class Taint:
    """All untrusted text that a run, its sub-agents and its nodes have read, by source."""

    sources: list[Source] = field(default_factory=list[Source])
    told: int = 0
    """How many of `sources` stand in the journal."""
    _texts: list[tuple[Source, str]] = field(default_factory=list[tuple[Source, str]])
    _kept: int = 0

    @property
    def tainted(self) -> bool:
        """Whether anything untrusted was read."""
        return bool(self.sources)

    def note(self, source: Source, text: str) -> None:
        """The run has read `text`."""
        if source not in self.sources:
            self.sources.append(source)
        room = MOST_CHARACTERS - self._kept
        if room > 0 and text:
            self._kept += min(len(text), room)
            self._texts.append((source, text[:room]))

    def gave(self, value: str, *, connection: str | None) -> bool:
        """Whether the value stands in the event, or in what that connection itself said: back
        there it tells nobody anything new."""
        return any(
            value in text
            for source, text in self._texts
            if source.kind is SourceKind.EVENT
            or (connection is not None and source.connection == connection)
        )

    def tells_another(self, value: str, *, connection: str) -> bool:
        """Whether the value was read elsewhere, and this connection would learn it."""
        return not self.gave(value, connection=connection) and any(
            value in text for source, text in self._texts if source.connection != connection
        )

    def whence(self, value: str) -> str:
        """Who brought the value, in words."""
        for source, text in self._texts:
            if value in text:
                return f"came from {source.name}"
        return "stands in no file that this run goes by"

    def why(self) -> str:
        """`tainted by the event and GET /x of crm`, for refusals."""
        names = [each.name for each in self.sources[:3]]
        more = len(self.sources) - len(names)
        listed = " and ".join(names) + (f" and {more} more" if more else "")
        return f"tainted by {listed}"
