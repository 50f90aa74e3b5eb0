"""`amodal-rt mcp`: the official client over standard input and output, and a real daemon."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from daemon_child import Child, automation, daemon
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_client import ERAS, Caller

from amodal_rt.servers.peers import user_name


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Generator[Child, None, None]:
    """One daemon for the module."""
    root = tmp_path_factory.mktemp("stdio") / "workspace"
    automation(root, "manual", connections=[])
    with daemon(root) as running:
        yield running


@asynccontextmanager
async def over_stdio(
    *args: str, mode: str = "auto", **variables: str
) -> AsyncGenerator[Caller, None]:
    """A client of a process of its own."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "amodal_rt", "mcp", *args], env=variables
    )
    with Path(os.devnull).open("w") as nowhere:  # noqa: ASYNC230 - it takes no time
        async with Client(stdio_client(server, errlog=nowhere), mode=mode) as client:
            yield Caller(client)


def token(child: Child, *scopes: str) -> str:
    name = "-".join((*scopes, str(len(child.client.get("/v1/tokens")))))
    made = child.client.post("/v1/tokens", {"name": name, "scopes": list(scopes)})
    return str(made["secret"])


def trail(child: Child, subject: str) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(child.state / "ledger.sqlite")) as ledger:
        rows = ledger.execute("SELECT actor, door FROM audit WHERE subject = ?", (subject,))
        return set(rows)


@pytest.mark.parametrize("mode", ERAS)
async def test_the_tools_are_there_over_the_control_socket(child: Child, mode: str) -> None:
    async with over_stdio("--workspace", str(child.root), mode=mode) as caller:
        tools = (await caller.client.list_tools()).tools
        made = await caller.told("AUTOMATION_CREATE", name=f"By {mode}", messages="Look.")
        listed, started, refused = await asyncio.gather(
            caller.told("AUTOMATION_LIST"),
            caller.told("AUTOMATION_RUN", id=made["id"]),
            caller.refused("AUTOMATION_RUN", id="nobody"),
        )
        deleted = await caller.told("AUTOMATION_DELETE", id=made["id"])
    run = await asyncio.to_thread(child.client.get, f"/v1/runs/{started['run_id']}")

    assert len(tools) == 12
    assert f"by-{mode}" in [each["lookup_key"] for each in listed["automations"]]
    assert refused["code"] == "automation_not_found"
    assert deleted == {"success": True}
    # On this machine it is the user who asks.
    assert run["requester"] == user_name(os.getuid())
    assert trail(child, f"by-{mode}") == {(user_name(os.getuid()), "mcp")}


async def test_a_url_and_a_token_reach_it_from_afar(child: Child) -> None:
    secret = await asyncio.to_thread(token, child, "read")
    variables = {"AMODAL_RT_URL": child.url, "AMODAL_RT_TOKEN": secret}
    async with over_stdio(**variables) as caller:
        listed = await caller.told("AUTOMATION_LIST")
        refused = await caller.refused("AUTOMATION_RUN", id="manual")

    assert "manual" in [each["lookup_key"] for each in listed["automations"]]
    assert refused["code"] == "scope_missing"


def test_without_a_daemon_or_a_token_it_says_so_and_ends(child: Child, tmp_path: Path) -> None:
    (tmp_path / "automations").mkdir()

    def said(*args: str, **variables: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "amodal_rt", "mcp", *args],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables},
            input='{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    nobody = said("--workspace", str(tmp_path))
    unknown = said("--url", child.url, AMODAL_RT_TOKEN="art_wrong")
    known = said("--url", child.url, AMODAL_RT_TOKEN=token(child, "trigger"))

    assert nobody[:2] == (5, "")
    assert "no daemon answers" in nobody[2]
    assert "amodal-rt up" in nobody[2]
    assert unknown[:2] == (1, "")
    assert "a valid token is needed" in unknown[2]
    assert (known[0], json.loads(known[1])) == (0, {"jsonrpc": "2.0", "id": 1, "result": {}})
