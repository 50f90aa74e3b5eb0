"""The public keys of those who sign tokens, from the URL that a file names."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

from amodal_rt.clock import Clock
from amodal_rt.errors import AmodalError, UnavailableError
from amodal_rt.logs import Log

BYTES = 65_536
"""How large a key set may be."""
MOST_KEYS = 32
GOOD_SECONDS = 600.0
"""How old a key set may be before it is asked for again."""
KEPT_SECONDS = 86_400.0
"""How long the last one counts while there is no newer one to be had."""
AGAIN_SECONDS = 60.0
"""How often it is asked for at most, whatever tokens strangers send."""

Fetch = Callable[[str], Awaitable[bytes]]
"""What stands at a URL, which a file names, and nowhere else: at most `BYTES`, soon, and only where
egress lets us. Raises AmodalError and TimeoutError."""

_log = Log("intake")


@dataclass(slots=True)
class _Kept:
    keys: Sequence[str]
    at: float


class KeySets:
    """Key sets as they were last had, by URL."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._asked: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def keys(self, url: str) -> Sequence[str]:
        """The keys, each as the JSON of a JSON Web Key. Raises UnavailableError
        (`key_set_unavailable`) where there are none that are less than a day old."""
        kept, now = self._kept.get(url), self._clock.monotonic()
        lock = self._locks.setdefault(url, asyncio.Lock())
        # Of many requests one asks; the others have the old keys meanwhile, if there are any.
        if kept is None or (now >= kept.at + GOOD_SECONDS and not lock.locked()):
            async with lock:
                await self._ask(url)
        kept, now = self._kept.get(url), self._clock.monotonic()
        if kept is None or now >= kept.at + KEPT_SECONDS:
            raise UnavailableError(
                "the key set of its senders cannot be had", code="key_set_unavailable"
            )
        return kept.keys

    async def renewed(self, url: str) -> bool:
        """Whether there are other keys than a moment ago: a sender that has a new one signs with
        it at once."""
        before = self._kept.get(url)
        async with self._locks.setdefault(url, asyncio.Lock()):
            await self._ask(url)
        after = self._kept.get(url)
        return after is not None and (before is None or after.keys != before.keys)

    async def _ask(self, url: str) -> None:
        now = self._clock.monotonic()
        if now < self._asked.get(url, -AGAIN_SECONDS) + AGAIN_SECONDS:
            return
        self._asked[url] = now
        try:
            keys = _parsed(await self._fetch(url))
        except (AmodalError, TimeoutError, ValueError) as error:
            _log.warning("key_set.not_had", url=url, error=str(error) or type(error).__name__)
            return
        self._kept[url] = _Kept(keys, now)


def _parsed(body: bytes) -> Sequence[str]:
    try:
        document: object = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    found = cast("dict[str, object]", document).get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise ValueError("this is no JSON Web Key Set")
    keys = cast("list[object]", found)[:MOST_KEYS]
    return tuple(json.dumps(each, sort_keys=True) for each in keys if isinstance(each, dict))
