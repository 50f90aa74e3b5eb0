"""Secrets planted in every place that may hold one, told by everybody that the daemon talks to,
and searched for in everything that it leaves behind or says."""

import asyncio
import json
import re
import sqlite3
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from pathlib import Path

import postgres_server
import pytest
from canaries import canary, find_leaks, random_part, spellings
from canary_scene import DATABASE_PASSWORD, ROOT, SANDBOXED, SECRETS, Scene, children, scene

pytestmark = pytest.mark.timeout(900)

COMMANDS = [
    ("validate", "--env", "--json"), ("doctor", "--json"), ("doctor",), ("plan", "--json"),
    ("plan",), ("audit", "list", "--json"), ("audit", "verify", "--json"),
    ("ops", "automations", "powers", "reader"),
    ("ops", "automations", "powers", "asker"), ("ops", "connections", "test", "crm"),
    ("ops", "connections", "test", "dying", "--json"), ("ops", "runs", "list"),
    ("ops", "deliveries", "list", "--json"), ("ops", "approvals", "list"), ("ops", "spend"),
    ("ops", "automations", "show", "../../etc", "--json"), ("ops", "stores", "show", "seen"),
]  # fmt: skip
OLDER = "0009"
_OLDER = (
    "ALTER TABLE live_definitions DROP COLUMN since",
    f"UPDATE alembic_version SET version_num = '{OLDER}'",
)
"""What makes a ledger one of the version before."""
_SOCKET = re.compile(r"^\| `GET (/v1/[^`]*)`", re.MULTILINE)
_STREAMS = re.compile(r"stream$")


async def _a_days_work(place: Scene) -> dict[str, bytes]:
    """Everything happens once; what was answered meanwhile."""
    said: dict[str, bytes] = {}
    for name in ("reader", "refused", "asker"):
        await place.run(name)
    waiting = await place.document("/v1/approvals")
    for _ in range(1200):
        # A message about what is decided already has no link any more.
        if "link 0" in _issued(place):
            break
        await asyncio.sleep(0.1)
    for each in waiting:
        path = f"/v1/approvals/{each['id']}/approve"
        said[f"POST {path}"] = await place.ask(path, "POST", json={})
    hook = (await place.document("/v1/automations/reader"))["webhook_url"]
    hook = "/" + hook.partition("://")[2].partition("/")[2]
    signed = {"X-Signature-256": "sha256=00"}
    said["forged"] = await place.ask(hook, "POST", data=b"{}", headers=signed)
    said["malformed"] = await place.ask("/v1/events", "POST", data=b'{"type": ')
    said["nothing"] = await place.ask("/v1/runs/run_0000000000000000")
    said["refused powers"] = await place.ask(
        "/v1/automations/asker/update", "POST", json={"keys": {"writeEnabled": "all"}}
    )
    for name in ("crm", "dying", "far", "notes"):
        said[f"test of {name}"] = await place.ask(f"/v1/connections/{name}/test", "POST")
    for _ in range(1800):
        rows = await place.document("/v1/runs?limit=100")
        going = [each for each in rows if each["status"] in {"pending", "running"}]
        told = sum(path.startswith("/services/") for path, _ in place.target.reached)
        if not going and told >= 4:
            return said
        await asyncio.sleep(0.1)
    raise AssertionError("the day's work has no end")


async def _everything(place: Scene) -> dict[str, bytes]:
    """All that the daemon says and leaves behind, by its name."""
    found = {f"variable or argument: {k}": v for k, v in _processes(place).items()}
    found |= {f"answered: {name}": each for name, each in (await _a_days_work(place)).items()}
    found |= {f"GET {path}": await place.ask(path) for path in await _paths(place)}
    found |= await _pages(place)
    found["mcp AUTOMATION_LIST"] = await _called(place, "AUTOMATION_LIST", {})
    found["mcp AUTOMATION_GET"] = await _called(place, "AUTOMATION_GET", {"id": "reader"})
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for words in (["init", "-q"], ["add", "automations"], ["commit", "-qm", "x"]):
        await asyncio.to_thread(subprocess.run, [*git, *words], cwd=place.root, check=True)
    (place.root / "automations" / "reader.json").touch()
    for words in COMMANDS:
        found[f"command: {' '.join(words)}"] = await place.command(*words)
    for number, asked in enumerate(place.model.requests):
        # What a model said itself is told to nobody else by telling it again.
        heard = [each for each in asked.body["messages"] if each["role"] != "assistant"]
        found[f"prompt {number}"] = json.dumps([heard, asked.body.get("tools")]).encode()
    for number, (_, body) in enumerate(place.target.reached):
        found[f"message {number}"] = body
    found |= {f"variable or argument: {k}": v for k, v in _processes(place).items()}
    return found | _left(place)


def _left(place: Scene) -> dict[str, bytes]:
    """The log, and every file of the state folder."""
    found = {"log": place.log.read_bytes()}
    for path in (place.root / ".amodal-rt").rglob("*"):
        if path.is_file():
            found[f"file {path.name}"] = path.read_bytes()
    return found


async def _ledger(place: Scene) -> dict[str, bytes]:
    """A backup, as a file and by its columns; and what an upgrade puts aside."""
    words, backup = ("backup", "../backup.db", "--json"), place.root.parent / "backup.db"
    found = {f"command: {' '.join(words)}": await place.command(*words)}
    found |= {"backup": backup.read_bytes(), **_rows(backup)}
    await place.end()
    ledger = place.root / ".amodal-rt" / "ledger.sqlite"
    with closing(sqlite3.connect(ledger)) as older, older:
        for statement in _OLDER:
            older.execute(statement)
    await place.start_again()
    kept = ledger.with_name(f"{ledger.name}.before-{OLDER}")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    return {**found, "kept": kept.read_bytes(), "log": place.log.read_bytes()}


def _processes(place: Scene) -> Mapping[str, bytes]:
    """But for what each was given: `MCP_TOKEN` is the notes' own."""
    token = SECRETS["MCP_TOKEN"].encode()
    found = {
        name: each.replace(b"NOTES_TOKEN=" + token, b"")
        for name, each in children(place.process.pid).items()
    }
    return found | {"own": Path(f"/proc/{place.process.pid}/cmdline").read_bytes()}


def _rows(backup: Path) -> dict[str, bytes]:
    """Each column of a table as one text, so that what two rows or pages share is seen whole."""
    found: dict[str, bytes] = {}
    with closing(sqlite3.connect(f"file:{backup}?mode=ro", uri=True)) as ledger:
        tables = ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            columns = [each[1] for each in ledger.execute(f'PRAGMA table_info("{table}")')]
            for column in columns:
                query = f'SELECT "{column}" FROM "{table}" ORDER BY rowid'
                try:
                    values = ledger.execute(query).fetchall()
                except sqlite3.OperationalError:
                    values = ledger.execute(f'SELECT "{column}" FROM "{table}"').fetchall()
                texts = [each for (each,) in values if isinstance(each, str | bytes)]
                raw = [each.encode() if isinstance(each, str) else each for each in texts]
                found[f"column {table}.{column}"] = b"".join(raw)
    return found


async def _paths(place: Scene) -> list[str]:
    """Every GET of the API and the control socket, for everything that there is."""
    socket = _SOCKET.findall((ROOT / "docs/reference/http.md").read_text())
    spec = await place.document("/openapi.json")
    api = [path for path, verbs in spec["paths"].items() if "get" in verbs]
    runs = [each["run_id"] for each in await place.document("/v1/runs?limit=100")]
    events = [each["event_id"] for each in await place.document("/v1/events?limit=20")]
    messages = [each["delivery_id"] for each in await place.document("/v1/deliveries")]
    names = {
        "automations": ["reader", "asker", "refused"], "automation_runs": runs, "runs": runs,
        "deliveries": messages, "connections": ["crm", "notes", "dying", "far"],
        "stores": ["seen"], "events": events, "types": ["acme.told"], "approvals": runs,
        "apps": ["any"], "threads": runs,
    }  # fmt: skip
    found = ["/metrics", "/openapi.json", "/healthz", "/readyz", "/v1/events?rejected=1"]
    for path in [*socket, *api]:
        filled = [""]
        for before, part in zip(["", *path.split("/")], path.split("/"), strict=False):
            given = names.get(before, ["x"]) if part.startswith("{") else [part]
            filled = [
                f"{each}/{value}" if each or value else "" for each in filled for value in given
            ]
        found += [each if each.startswith("/") else f"/{each}" for each in filled]
    return [each for each in dict.fromkeys(found) if not _STREAMS.search(each) or "run_" in each]


async def _pages(place: Scene) -> dict[str, bytes]:
    """The pages that are led to from the first one, for who has a session."""
    words = ("tokens", "create", "pages", "--scope", "manage", "--json")
    token = json.loads(await place.command(*words))["secret"]
    first = await place.ask("/dashboard/sign-in", headers={"Authorization": ""})
    form = re.search(rb'name="form_token" value="([^"]+)"', first)
    assert form is not None, first
    fields = {"form_token": form[1].decode(), "token": token}
    own = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    await place.ask("/dashboard/sign-in", "POST", data=fields, headers=own)
    found: dict[str, bytes] = {}
    left = ["/"]
    while left and len(found) < 80:
        path = left.pop(0)
        if f"page {path}" not in found:
            page = found[f"page {path}"] = await place.ask(path)
            links = re.findall(rb'href="(/dashboard/[^"#]*)"', page)
            left += [each.decode().replace("&amp;", "&") for each in links]
    assert len(found) > 5, found.keys()
    return found


async def _called(place: Scene, tool: str, given: Mapping[str, str]) -> bytes:
    request = {
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": tool, "arguments": given},
    }  # fmt: skip
    kinds = {"Accept": "application/json, text/event-stream"}
    return await place.ask("/mcp", "POST", json=request, headers=kinds)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(tmp_path) as served:
        yield served


def _issued(place: Scene) -> dict[str, str]:
    """Secrets of our own making: shown once, to whom they are for."""
    linked = re.compile(rb"/approvals/write_\w+/(\w{20,})")
    bodies = b"".join(body for _, body in place.target.reached)
    links = {each.decode() for each in linked.findall(bodies)}
    named = {f"link {number}": link for number, link in enumerate(sorted(links))}
    return {**named, "the token": place.token}


async def test_no_secret_is_found_in_anything_that_the_daemon_says_or_leaves_behind(
    place: Scene, record: Callable[..., None]
) -> None:
    found = await _everything(place) | await _ledger(place)

    leaks = find_leaks(found, SECRETS)
    issued = {
        f"{name}: {where}"
        for name, value in _issued(place).items()
        for where, content in found.items()
        if value.encode() in content and not where.startswith("message ")
    }
    searched = {"artefacts": len(found), "bytes": sum(map(len, found.values()))}
    record("canaries", {"secrets": len(SECRETS), **searched, "found": len(leaks | issued)})
    assert sorted(leaks) == []
    assert sorted(issued) == []
    # What nobody used could not have leaked.
    told = b"".join(body for _, body in place.target.reached)
    assert b"[secret]" in told
    assert b"[secret]" in found["column journal.data"]
    assert "link 0" in _issued(place)
    assert b"read-only" in found["command: ops automations powers reader"]
    assert b"Read all" in found["mcp AUTOMATION_GET"]
    assert (b"exit code 3" in found["column journal.data"]) == SANDBOXED


async def test_the_search_finds_what_a_daemon_that_hides_nothing_leaves(tmp_path: Path) -> None:
    async with scene(tmp_path, blind=True) as place:
        found = await _everything(place) | await _ledger(place)

    leaks = find_leaks(found, SECRETS)
    names = {each.partition(":")[0] for each in leaks}
    places = {each.partition(": ")[2].split(" ", 1)[0] for each in leaks}
    assert names == set(SECRETS)
    assert places >= {"GET", "backup", "column", "file", "kept", "message", "page", "prompt"}


async def test_the_password_of_its_database_is_found_nowhere(
    tmp_path: Path, record: Callable[..., None]
) -> None:
    server = postgres_server.shared()
    database = server.fresh()
    async with scene(tmp_path, database=server.url(database)) as place:
        found = await _everything(place)
        server.stop()
        found["GET /readyz while it is away"] = await _away(place)
        found["doctor while it is away"] = await place.command("doctor", "--json")
        server.start()
        found |= _left(place)
    tables = server.ask(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
        database=database,
    )
    for (table,) in tables:
        rows = server.ask(f'SELECT t::text FROM "{table}" AS t', database=database)
        found[f"table {table}"] = "\n".join(each for (each,) in rows).encode()

    secrets = {**SECRETS, "DATABASE_PASSWORD": DATABASE_PASSWORD}
    leaks = find_leaks(found, secrets)
    searched = {"artefacts": len(found), "bytes": sum(map(len, found.values()))}
    record("canaries_postgres", {"secrets": len(secrets), **searched, "found": len(leaks)})
    assert sorted(leaks) == []
    assert b"[secret]" in found["table journal"]
    assert b"503" in found["GET /readyz while it is away"]


async def _away(place: Scene) -> bytes:
    """What it says once it knows that its database is away."""
    for _ in range(300):
        async with place.http.get(f"{place.url}/readyz") as answered:
            said = f"{answered.status} {await answered.text()}".encode()
            if answered.status == 503:
                return said
        await asyncio.sleep(0.1)
    return said


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("form", spellings("x"))
def test_the_search_finds_every_form_whole_and_cut(form: str, plain: bool) -> None:
    value = canary("planted", plain=plain)
    text = spellings(value)[form]
    half = len(text) // 2

    for planted in (text, text[:half], text[half:]):
        found = find_leaks({"here": f"before {planted} after".encode()}, {"planted": value})
        assert found, planted
    assert find_leaks({"here": value[::-1].encode()}, {"planted": value})
    assert not find_leaks({"here": b"before after" + random_part(value)[:9].encode()}, {"p": value})
