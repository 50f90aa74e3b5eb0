"""Where this daemon's webhooks are reached."""

from typing import Protocol

from amodal_rt.guardrails.causes import reaches
from amodal_rt.ports import Catalogue


class Endpoints(Protocol):
    """Webhook ids."""

    def id_for(self, name: str) -> str:
        """The id of an automation's own webhook."""
        ...

    async def refresh(self) -> None:
        """Count rotations again."""
        ...


class Address:
    """`publicUrl` of the newest snapshot, else the address that the TCP door is bound to.

    `bound` is set once, when the door listens: None until then. So is `admin`, where another
    door carries all but webhooks.
    """

    def __init__(self, catalogue: Catalogue, endpoints: Endpoints) -> None:
        self._catalogue = catalogue
        self._endpoints = endpoints
        self.bound: str | None = None
        self.admin: str | None = None

    @property
    def public(self) -> str | None:
        """What `publicUrl` says, without a slash at its end."""
        said = self._catalogue.snapshot().settings.public_url
        return said.rstrip("/") if said else None

    @property
    def local_only(self) -> bool:
        """Whether only this machine can be expected to reach it."""
        return self.public is None

    def is_own(self, url: str) -> bool:
        """Whether a request to `url` comes back to this daemon, or to one that stands in for it."""
        return any(reaches(url, base) for base in (self.public, self.bound, self.admin) if base)

    @property
    def dashboard(self) -> str | None:
        """Where this machine finds the dashboard; None while nothing listens."""
        return self.admin or self.bound

    def webhook(self, name: str) -> str | None:
        """The URL of an automation's webhook; None while nothing listens and nothing is public."""
        base = self.public or self.bound
        return f"{base}/webhooks/{self._endpoints.id_for(name)}" if base else None

    def integration(self, name: str, key: str) -> str | None:
        """The URL of an integration; None while nothing listens and nothing is public."""
        base = self.public or self.bound
        return f"{base}/integrations/{name}/{key}" if base else None

    def callback(self) -> str | None:
        """Where MCP servers call back; None while nothing listens and nothing is public."""
        base = self.public or self.bound
        return f"{base}/api/trigger-callback" if base else None

    async def refresh(self) -> None:
        """Count rotations again: call it after each."""
        await self._endpoints.refresh()
