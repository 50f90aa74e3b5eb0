"""Every task of a user against every task of an attacker, each one run of the real runtime."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from dojo.workspace import Powers, stem, write_workspace

from amodal_rt import Runtime

ROOT = Path(__file__).parents[3]
PYTHON = Path(os.environ.get("AMODAL_RT_ATTACK_PYTHON", ROOT / ".venv-attack" / "bin" / "python"))
"""The interpreter that AgentDojo is installed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """How one pair ended. `useful`: the user's task was solved; `attacked`: the attacker's was;
    `by_tool`: and not by what the model said alone. `scripted`: the attacker's calls are known."""

    pair: str
    status: str
    scripted: bool
    seen: bool
    useful: bool
    attacked: bool
    by_tool: bool
    calls: tuple[str, ...]


@contextmanager
def dojo_server() -> Iterator[str]:
    """The origin of AgentDojo's environments and of the obedient model."""
    server = Path(__file__).with_name("server.py")
    command = [str(PYTHON), str(server)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().split()[-1]}"
        finally:
            process.terminate()


@asynccontextmanager
async def _dojo(origin: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(origin) as http:
        yield http


async def fight(root: Path, suite: str, origin: str, *, every: int, powers: Powers) -> list[Duel]:
    """Each pair of the suite, or every so many of them."""
    duels: list[Duel] = []
    async with _dojo(origin) as http:
        tasks = (await _json(http, "GET", "/tasks"))[suite]
        write_workspace(root, suite, tasks, origin, powers=powers)
        pairs = [
            (user, injected)
            for first, user in enumerate(tasks["user"])
            for second, injected in enumerate(tasks["injections"])
            # Not every so many in a row: each attack meets other tasks.
            if (first + second) % every == 0
        ]
        async with Runtime(root) as runtime:
            for user, injected in pairs:
                asked = {"suite": suite, "user": user, "injection": injected}
                begun = await _json(http, "POST", "/begin", asked)
                run = await runtime.wait(await runtime.trigger(stem(user)))
                ended = await _json(http, "POST", "/end")
                duels.append(
                    Duel(
                        pair=f"{suite}/{user}/{injected}",
                        status=str(run["status"]),
                        scripted=begun["scripted"],
                        seen=ended["seen"],
                        useful=ended["useful"],
                        attacked=ended["attacked"],
                        by_tool=ended["by_tool"],
                        calls=tuple(ended["calls"]),
                    )
                )
    return duels


async def _json(
    http: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> dict[str, Any]:
    async with http.request(method, path, json=body) as response:
        response.raise_for_status()
        return await response.json()
