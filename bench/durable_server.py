"""The floor of the webhook door: an aiohttp handler that answers 202 once its body is one row on
disk, many rows to a sync, and does nothing else."""

import asyncio
import queue
import sqlite3
import sys
import threading
from pathlib import Path

from aiohttp import web

_Given = list[tuple[bytes, asyncio.Future[None]]]


class _Rows:
    """One table, written by a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Given] = queue.SimpleQueue()
        self._given: _Given = []
        threading.Thread(target=self._run, args=(path,), daemon=True).start()

    def add(self, body: bytes) -> asyncio.Future[None]:
        """Done once the row is on disk."""
        future = self._loop.create_future()
        if not self._given:
            self._loop.call_soon(self._hand_over)
        self._given.append((body, future))
        return future

    def _hand_over(self) -> None:
        self._queue.put(self._given)
        self._given = []

    def _run(self, path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE bodies (number INTEGER PRIMARY KEY, body BLOB)")
        while True:
            batch = self._queue.get()
            while not self._queue.empty():
                batch += self._queue.get()
            connection.execute("BEGIN IMMEDIATE")
            rows = ", ".join(["(?)"] * len(batch))
            values = [body for body, _ in batch]
            connection.execute(f"INSERT INTO bodies (body) VALUES {rows}", values)
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_settle, batch)


def _settle(batch: _Given) -> None:
    for _, future in batch:
        if not future.done():
            future.set_result(None)


async def _serve(port: int, path: Path) -> None:
    rows = _Rows(path)

    async def accept(request: web.Request) -> web.Response:
        await rows.add(await request.read())
        return web.json_response({"status": "accepted"}, status=202)

    app = web.Application()
    app.router.add_post("/hook", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
