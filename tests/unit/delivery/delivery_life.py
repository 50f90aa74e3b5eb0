"""Lives of a sender, each a process that may be killed anywhere, and who it sends to.

`python delivery_life.py` reads one wish a line and forks: the child owns the ledger until all
that is due is settled. It answers with how the child ended. The imports are paid once.
"""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from aiohttp import web

sys.path.insert(0, str(Path(__file__).parent))

from delivery_desk import Desk
from delivery_samples import alerting, completed, definition, failure, webhook

from amodal_rt import failpoints
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.delivery import DeliveryStatus

POINTS = (
    "delivery.before_send",
    "delivery.after_send",
    "delivery.before_record",
    "delivery.after_record",
    "breaker.before_write",
    "breaker.after_write",
    "delivery.before_follow_up",
    "delivery.after_follow_up",
    "condition.before_write",
    "condition.after_write",
)
"""The failpoints on the way of a message out of the house."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one life is to do. `number` keeps its ids apart; `after` is seconds since the first.

    `runs` finish: `c` completes and owes its result to `/gone`, or to `/bad`; `f` fails and
    owes an alert to `/ops`. The workspace's own alerts go to `/workspace`.
    """

    ledger: str
    url: str
    number: int = 0
    after: float = 0
    runs: str = ""
    result: str = "/gone"
    failpoints: str = ""


class Lives:
    """Forks them one after another."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        # Closes both ends, and waits.
        self._process.__exit__(None, None, None)

    async def live(self, wish: Wish) -> int:
        """The child's exit status; -9 when it was killed."""
        return await asyncio.to_thread(self._live, wish)

    def _live(self, wish: Wish) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asdict(wish)) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class Places:
    """Answers by path: `/gone` 410, `/bad` 503, all else 200. Records who got what."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.bodies: dict[str, object] = {}
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def messages(self, path: str) -> Counter[str]:
        """How often each message arrived there."""
        return Counter(message for at, message in self.got if at == path)

    @property
    def repeated(self) -> int:
        """How many arrivals were one too many."""
        return len(self.got) - len(set(self.got))

    @property
    def most(self) -> int:
        """How often the message that came most often came."""
        return max(Counter(self.got).values(), default=0)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        message = request.headers["webhook-id"]
        self.bodies[message] = json.loads(await request.read())
        self.got.append((request.path, message))
        return web.Response(status={"/gone": 410, "/bad": 503}.get(request.path, 200))


def _definition(wish: Wish) -> Definition:
    return definition(
        webhook(wish.url + wish.result, "reports"),
        alert=alerting(webhook(f"{wish.url}/ops", "ops")),
    )


async def _live(wish: Wish) -> None:
    desk = Desk(Path(wish.ledger))
    desk.ids._numbers = itertools.count(1 + 1000 * wish.number)
    desk.clock.advance(wish.after)
    desk.tell(webhook(f"{wish.url}/workspace", "workspace"))
    known = _definition(wish)
    desk.definitions[known.automation.name] = known
    async with desk.ledger, desk.sending():
        for run in wish.runs:
            await desk.finish(known, completed() if run == "c" else failure())
        await _quiet(desk)


async def _quiet(desk: Desk) -> None:
    """Until nothing is due, under way or without its consequences."""
    while True:
        before = await desk.messages()
        given_up = await desk.ledger.given_up(limit=1)
        due = await desk.ledger.next_due_at()
        busy = any(each.status is DeliveryStatus.SENDING for each in before)
        later = due is None or due > desk.clock.now()
        # Several looks are one only if nothing moved between them.
        if later and not busy and not given_up and before == await desk.messages():
            return
        await asyncio.sleep(0.005)


def _main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            wish = Wish(**json.loads(line))
            os.environ["AMODAL_RT_FAILPOINTS"] = wish.failpoints
            # Read when the module was imported, which was before the fork.
            failpoints._armed = failpoints._from_environment()
            status = 70
            try:
                asyncio.run(asyncio.wait_for(_live(wish), 60))
                status = 0
            finally:
                os._exit(status)
        _, ended = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _main()
