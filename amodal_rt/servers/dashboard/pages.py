"""Templates into pages. Every value that is printed is escaped, and has no hidden characters."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Protocol

from markupsafe import Markup

from amodal_rt.clock import Clock
from amodal_rt.domain.budget import dollars
from amodal_rt.guardrails.untrusted import exact_json, plain
from amodal_rt.servers.dashboard import words
from amodal_rt.servers.dashboard.assets import Assets


class Template(Protocol):
    """One file of `templates/`, made ready."""

    def render(self, values: Mapping[str, object]) -> str:
        """The text with these values."""
        ...


class Pages:
    """Renders beside the event loop: a long page keeps no webhook waiting."""

    def __init__(self, assets: Assets, *, clock: Clock) -> None:
        self._assets = assets
        self._clock = clock
        self._templates: Callable[[str], Template] | None = None

    async def render(self, template: str, values: Mapping[str, object]) -> str:
        """The page, or the part of one."""
        return await asyncio.to_thread(self._render, template, values)

    def _render(self, template: str, values: Mapping[str, object]) -> str:
        # The first page pays for the library, not every start of a daemon that nobody looks at.
        self._templates = self._templates or _load(self._assets, self._clock.now)
        return self._templates(template).render({**values, "now": self._clock.now()})


def harmless(value: object) -> object:
    """What a template prints: markup of our own as it is, nothing for None, any other text
    without control and invisible characters."""
    if value is None:
        return ""
    return value if isinstance(value, Markup) else plain(str(value))


def _load(assets: Assets, now: Callable[[], datetime]) -> Callable[[str], Template]:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("amodal_rt.servers.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )

    def distance(value: datetime | str | None) -> str:
        return words.distance(value, now())

    filters: dict[str, Callable[..., str]] = {
        "instant": words.instant,
        "distance": distance,
        "iso": words.iso_of,
        "span": words.span,
        "reason": words.reason,
        "number": words.number,
        "dollars": dollars,
        "pretty": words.pretty,
        "exact": exact_json,
    }
    environment.filters.update(filters)  # pyright: ignore[reportUnknownMemberType]
    environment.globals.update(asset=assets.path, cut=words.cut)  # pyright: ignore[reportUnknownMemberType]
    return partial(environment.get_template)
