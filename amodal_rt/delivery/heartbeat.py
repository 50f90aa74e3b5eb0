"""Tells somebody outside, every minute, that the daemon is well; its silence is the alarm."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import ClientError, ClientTimeout
from yarl import URL

from amodal_rt import failpoints
from amodal_rt.clock import Clock, first_of
from amodal_rt.delivery.request import hide_url
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.errors import AmodalError
from amodal_rt.guardrails.egress import Egress, refusal
from amodal_rt.logs import Log
from amodal_rt.ports import SNAPSHOT, Catalogue, ConditionLedger, Signals

EVERY_SECONDS = 60.0
ANSWER_SECONDS = 10.0
"""How long the one who is told may take to answer, and the ledger to commit."""

_BEGIN_SECONDS = 0.2

_log = Log("delivery")


class Looking(Protocol):
    """A loop that says when it last came round, by the monotonic clock."""

    looked_at: float


class Watched(Protocol):
    """The watch over the workspace; before its first look `looked_at` is None."""

    looked_at: float | None
    degraded: tuple[str, ...]
    overdue: tuple[str, ...]
    missing: tuple[str, ...]


class Wellness:
    """Whether the daemon does what it is there for. Each check looks at the thing itself."""

    def __init__(
        self,
        *,
        ledger: ConditionLedger,
        watch: Watched,
        loops: Sequence[tuple[str, Looking, float]],
        clock: Clock,
    ) -> None:
        """`loops`: name, loop, and the seconds after which one that did not look is stuck."""
        self._ledger = ledger
        self._watch = watch
        self._loops = loops
        self._clock = clock

    @property
    def begun(self) -> bool:
        """Whether everything was looked at once, so that there is something to say."""
        return self._watch.looked_at is not None

    async def complaints(self) -> list[str]:
        """Why it is not well, one sentence each; none when it is. Commits something small."""
        now = self._clock.monotonic()
        found = [
            f"the {name} has not looked for {now - loop.looked_at:.0f} s"
            for name, loop, longest in self._loops
            if now - loop.looked_at > longest
        ]
        seen = self._watch.looked_at
        if seen is None or now - seen > EVERY_SECONDS:
            found.append("the workspace is not watched")
        found += [*self._watch.missing, *self._watch.overdue, *self._watch.degraded]
        try:
            async with self._clock.deadline(ANSWER_SECONDS):
                await self._ledger.prove_writable(self._clock.now())
        except TimeoutError:
            found.append(f"the ledger did not commit within {ANSWER_SECONDS:.0f} s")
        except AmodalError as error:
            found.append(error.message)
        return found


class Heartbeat:
    """GETs `alerts.heartbeatUrl` once a minute while the daemon is well.

    It says nothing else to anybody: that it cannot be sent is logged and tried again with the
    next, and a daemon that is not well is simply silent.
    """

    def __init__(
        self,
        *,
        wellness: Wellness,
        catalogue: Catalogue,
        egress: Egress,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self._wellness = wellness
        self._catalogue = catalogue
        self._egress = egress
        self._signals = signals
        self._clock = clock
        self._withheld = False

    async def run(self) -> None:
        """Beat until cancelled: every minute, and at once when there is another URL."""
        while not self._wellness.begun:
            await self._clock.sleep(_BEGIN_SECONDS)
        with self._signals.listen(SNAPSHOT) as changed:
            while True:
                url, began = self._url(), self._clock.monotonic()
                try:
                    await self.beat()
                # It is there to tell of failures, not to be one.
                except Exception as error:  # noqa: BLE001
                    _log.exception("heartbeat.defect", error)
                while self._url() == url:
                    left = began + EVERY_SECONDS - self._clock.monotonic()
                    if left <= 0:
                        break
                    await first_of(changed(), self._clock.sleep(left))

    def _url(self) -> Text | None:
        return self._catalogue.snapshot().settings.alerts.heartbeat_url

    async def beat(self) -> bool:
        """Once. False when there is no URL, it was withheld, or nobody took it."""
        url = self._url()
        if url is None:
            return False
        complaints = await self._wellness.complaints()
        if complaints:
            _log.error("heartbeat.withheld", because="; ".join(complaints)[:1_000])
            self._withheld = True
            return False
        if self._withheld:
            _log.info("heartbeat.resumed")
            self._withheld = False
        return await self._send(url)

    async def _send(self, url: Text) -> bool:
        address = ""
        try:
            environment = self._catalogue.environment()
            address = environment.get(url.name) if isinstance(url, SecretRef) else url
            self._egress.permit(address, [address])
            failpoints.hit("heartbeat.before_send")
            async with (
                self._clock.deadline(ANSWER_SECONDS),
                self._egress.session().get(
                    address,
                    allow_redirects=False,
                    timeout=ClientTimeout(total=None, sock_connect=5),
                ) as answer,
            ):
                failpoints.hit("heartbeat.after_send")
                if 200 <= answer.status < 300:
                    return True
                said = f"HTTP {answer.status}"
        except AmodalError as error:
            said = error.message
        except (ClientError, OSError, TimeoutError) as error:
            denied = refusal(error)
            said = denied.message if denied else f"{error}" or type(error).__name__
            said = hide_url(said, URL(address))
        _log.warning("heartbeat.failed", error=said)
        return False
