"""A daemon whose every secret is known to everybody that it talks to, and told at each turn."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web
from canaries import canary, gossip
from scene import Served

from amodal_rt.testing.model_server import Asked, Call, ModelServer, Turn

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SECRETS = {
    name: canary(name)
    for name in (
        "MODEL_KEY", "CRM_TOKEN", "HEADER_TOKEN", "BASIC_PASSWORD", "QUERY_TOKEN", "EXTRA_HEADER",
        "HOOK_SECRET", "HOOK_SECRET_BEFORE", "GITHUB_SECRET", "MCP_TOKEN", "MCP_HEADER",
        "PROFILE_SECRET", "SIGNING_SECRET", "KEPT_IN_A_FILE",
    )
}  # fmt: skip
SECRETS |= {
    name: canary(name, plain=True) for name in ("TARGET_PATH", "HEARTBEAT_PATH", "WEBHOOK_KEY")
}
"""Each stands in another kind of place."""
DATABASE_PASSWORD = canary("DATABASE_PASSWORD")
"""The one secret that the daemon needs before it has a ledger."""
TEXT = gossip(SECRETS.values())
_BLIND = (
    "import sys; from amodal_rt.guardrails.redaction import Redactor;"
    " Redactor.mask = lambda self, text: text;"
    " Redactor.mask_document = lambda self, document: document;"
    " from amodal_rt.cli.entry import main; sys.exit(main(sys.argv[1:], program='amodal-rt'))"
)
"""A daemon that has forgotten how to hide a secret, by which the search is tried."""


class Gossip(Served):
    """A service that repeats every secret in what it answers, and keeps what reached it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached: list[tuple[str, bytes]] = []

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.reached.append((request.path, body))
        kind, _, rest = request.path.strip("/").partition("/")
        if kind == "at":
            # Where something cuts, half a secret would be left.
            return web.Response(text="x" * int(rest) + SECRETS["CRM_TOKEN"])
        if kind == "refuse":
            return web.Response(status=400, text="x" * 190 + SECRETS["CRM_TOKEN"] + TEXT)
        headers = {"ETag": SECRETS["CRM_TOKEN"] + SECRETS["TARGET_PATH"]}
        status = 403 if kind == "forbidden" else 200
        document = {"told": TEXT, SECRETS["CRM_TOKEN"]: [TEXT]}
        return web.json_response(document, status=status, headers=headers)


@dataclass
class Scene:
    """What ran, and how to ask it."""

    root: Path
    gossip: Gossip
    target: Gossip
    model: ModelServer
    process: asyncio.subprocess.Process
    environment: dict[str, str]
    log: Path
    begin: Callable[[], Awaitable[asyncio.subprocess.Process]]
    token: str = ""
    url: str = ""
    http: aiohttp.ClientSession = field(init=False)

    async def ask(self, path: str, method: str = "GET", **more: Any) -> bytes:
        """The answer of one request, headers included, whatever it says."""
        async with self.http.request(method, self.url + path, **more) as answer:
            head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
            return head.encode() + b"\n\n" + await answer.read()

    async def document(self, path: str, method: str = "GET", **more: Any) -> Any:
        """The JSON that it answers."""
        return json.loads((await self.ask(path, method, **more)).partition(b"\n\n")[2])

    async def run(self, name: str) -> str:
        """Start an automation and wait for the end of its run; the run's id."""
        started = await self.document(f"/v1/automations/{name}/trigger", "POST", json={})
        while True:
            found = await self.document(f"/v1/runs/{started['run_id']}")
            if found["status"] not in {"pending", "running"}:
                return started["run_id"]
            await asyncio.sleep(0.05)

    async def end(self) -> None:
        """Stop the daemon."""
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    async def start_again(self) -> None:
        """Start the daemon that was stopped."""
        (self.root / ".amodal-rt" / "daemon.json").unlink(missing_ok=True)
        self.process = await self.begin()
        await _ready(self)

    async def command(self, *words: str) -> bytes:
        """What a command prints on both streams."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "amodal_rt", *words, cwd=self.root, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return (await process.communicate())[0]


def answer(asked: Asked) -> Turn:
    """A model that reads all it can, tells it in every call it may make, and at the end."""
    if "refuse" in asked.user:
        return Turn(status=400, error="x" * 285 + SECRETS["CRM_TOKEN"] + TEXT)
    if "ask a person" in asked.user:
        data = {"amount": 700, "to": "ada"}
        return _once(asked, [_request("crm", "/deals", method="POST", data=data)])
    return _once(asked, _READS, _TELLS)


def _once(asked: Asked, *turns: list[Call]) -> Turn:
    done = len(asked.results)
    for calls in turns:
        if done <= 0:
            return Turn(text=TEXT, calls=calls)
        done -= len(calls)
    return Turn(text="x" * 16_360 + SECRETS["CRM_TOKEN"] + TEXT)


def _request(connection: str, endpoint: str, **more: object) -> Call:
    return Call("request", {"connection": connection, "endpoint": endpoint, **more})


_NAMES = ("crm", "header", "basic", "query")
_READS = [
    *(_request(name, path) for name in _NAMES for path in ("/all", "/forbidden")),
    *(_request("crm", f"/at/{20_000 - 40 - cut}") for cut in (0, 10, 20, 30)),
    *(Call("read_connection", {"name": name}) for name in (*_NAMES, "notes", "dying", "far")),
    Call("notes__tell"),
    Call("notes__fail"),
    Call("bash", {"command": "env; env | base64 -w0; env | xxd -p | tr -d '\\n'; exit 3"}),
]
_TELLS = [
    Call("write_store", {"store": "seen", "key": "all", "value": {"told": TEXT}}),
    Call("write_store", {"store": "seen", "key": SECRETS["CRM_TOKEN"], "value": {}}),
    Call("emit_event", {"type": "acme.told", "data": {"told": TEXT}}),
    _request("crm", "/all", params={"q": TEXT}),
    _request("crm", f"/{SECRETS['TARGET_PATH']}", method="POST", data=TEXT),
    _request(TEXT, "/all"),
    Call("query_store", {"store": TEXT}),
    Call("query_store", {"store": "seen", "since": TEXT}),
    Call("read_knowledge", {"name": TEXT}),
    Call("dispatch_task", {"task": f"refuse {TEXT}"}),
]


def write_files(root: Path, crm: str, target: str, model: str) -> None:
    """The workspace: each kind of place for a secret has one of its own."""
    hook = {"type": "webhook", "url": "env:TARGET_URL", "secret": "env:SIGNING_SECRET"}
    files = {
        **_settings(model, hook),
        **_connections(root.parent, crm),
        **_automations([hook, {"type": "webhook", "url": f"{target}/refuse"}]),
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1))
    (root.parent / "kept").write_text(SECRETS["KEPT_IN_A_FILE"])
    urls = {
        "TARGET_URL": f"{target}/services/{SECRETS['TARGET_PATH']}",
        "HEARTBEAT_URL": f"{target}/{SECRETS['HEARTBEAT_PATH']}",
        "KEPT_IN_A_FILE_FILE": str(root.parent / "kept"),
    }
    kept = {name: value for name, value in SECRETS.items() if name not in _IN_PROCESS}
    lines = [f"{name}='{value}'\n" for name, value in {**kept, **urls}.items()]
    (root / ".env").write_text("".join(lines))
    (root / ".env").chmod(0o600)


def _settings(model: str, hook: Mapping[str, str]) -> dict[str, object]:
    provider = {"type": "openai-compatible", "baseUrl": model, "apiKey": "env:MODEL_KEY"}
    return {
        "amodal.json": {
            "providers": {"local": provider},
            "model": "local:small",
            "listen": "127.0.0.1:0",
            "publicUrl": "https://hooks.acme.example",
            "egress": {"allowPrivate": ["127.0.0.1/32"]},
            "targets": {"people": hook},
            "alerts": {"targets": ["people"], "heartbeatUrl": "env:HEARTBEAT_URL"},
            "limits": {"startWithin": "1h"},
        },
    }


def _connections(folder: Path, crm: str) -> dict[str, object]:
    bearer = {"type": "bearer", "token": "env:CRM_TOKEN"}
    (folder / "gossip.txt").write_text(TEXT)
    long = "y" * 200 + "\n" + "x" * 270 + SECRETS["MCP_TOKEN"] + " " + TEXT * 3
    (folder / "last-words.txt").write_text(long)
    script, told = str(HERE / "mcp_gossip.py"), str(folder / "gossip.txt")
    words = [script, str(folder / "last-words.txt"), "dying"]
    notes = {"protocol": "mcp", "transport": "stdio", "command": sys.executable}
    extra = {"X-Extra": "env:EXTRA_HEADER"}
    mcp = {"env": {"NOTES_TOKEN": "env:MCP_TOKEN"}}
    return {
        "connections/crm/spec.json": {
            "protocol": "rest", "baseUrl": crm, "auth": bearer, "headers": extra, "external": False,
        },
        "connections/crm/access.json": {"endpoints": {"POST /deals": {"confirm": "approve"}}},
        "connections/header/spec.json": {
            "protocol": "rest", "baseUrl": crm,
            "auth": {"type": "header", "header": "X-Key", "token": "env:HEADER_TOKEN"},
        },
        "connections/basic/spec.json": {
            "protocol": "rest", "baseUrl": crm,
            "auth": {"type": "basic", "username": "robot", "password": "env:BASIC_PASSWORD"},
        },
        "connections/query/spec.json": {
            "protocol": "rest", "baseUrl": crm,
            "auth": {"type": "query", "parameter": "key", "token": "env:QUERY_TOKEN"},
        },
        "connections/kept/spec.json": {
            "protocol": "rest", "baseUrl": crm, "auth": bearer | {"token": "env:KEPT_IN_A_FILE"},
        },
        "connections/notes/spec.json": {**notes, "args": [script, told], **mcp},
        "connections/notes/access.json": {"tools": {"*": {"intent": "read"}}},
        "connections/dying/spec.json": {**notes, "args": words, **mcp},
        "connections/far/spec.json": {
            "protocol": "mcp", "transport": "http", "url": f"{crm}/forbidden",
            "headers": {"X-Key": "env:MCP_HEADER"},
        },
    }  # fmt: skip


def _automations(targets: list[dict[str, str]]) -> dict[str, object]:
    """With what stands beside them."""
    hmac = {"type": "hmac-sha256", "secret": ["env:HOOK_SECRET", "env:HOOK_SECRET_BEFORE"]}
    shell = {"tools": ["bash"], "environment": {"GRANTED": "env:PROFILE_SECRET"}}
    told_all = {"targets": targets, "template": "{{ result }}"}
    return {
        "integrations/github.json": {"provider": "github", "secret": "env:GITHUB_SECRET"},
        "stores/seen.json": {"schema": {"type": "object"}},
        "events/acme.told.json": {"description": "Told.", "sample": {"told": "x"}},
        "profiles/shell/1.json": shell,
        "automations/reader.json": {
            "title": "Read all", "prompt": "Tell all.", "trigger": "webhook", "webhookAuth": hmac,
            "profile": "shell", "delivery": told_all,
        },
        "automations/refused.json": {
            "title": "Refused", "prompt": "Please refuse.", "failureAlert": {"targets": ["people"]},
        },
        "automations/asker.json": {
            "title": "Ask", "prompt": "Please ask a person.", "connections": ["crm"],
            "writeEnabled": True, "approvals": {"targets": ["people"]},
        },
        "automations/listener.json": {
            "title": "Listen", "prompt": "Tell all.", "trigger": "acme.told", "delivery": told_all,
        },
    }  # fmt: skip


_IN_PROCESS = frozenset(
    {"WEBHOOK_KEY", "KEPT_IN_A_FILE", "QUERY_TOKEN", "TARGET_PATH", "HEARTBEAT_PATH"}
)


def _environment(root: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(root.parent),
        "XDG_RUNTIME_DIR": str(root.parent),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
    }


def _keep_in(root: Path, database: str) -> None:
    """The ledger at that URL, with the password that is a canary."""
    settings = json.loads((root / "amodal.json").read_text())
    told = json.dumps({**settings, "database": "env:DATABASE_URL"})
    (root / "amodal.json").write_text(told)
    secret = quote(DATABASE_PASSWORD, safe="")
    with (root / ".env").open("a") as kept:
        kept.write(f"DATABASE_URL='{database.replace('@', f':{secret}@', 1)}'\n")


@asynccontextmanager
async def scene(
    folder: Path, *, blind: bool = False, database: str | None = None
) -> AsyncIterator[Scene]:
    """Serve it; a `blind` one hides nothing. With the URL of a `database`, its ledger is there,
    under a password that is a canary too."""
    root = folder / "workspace"
    root.mkdir(parents=True)
    async with Gossip() as crm, Gossip() as target, ModelServer() as model:
        model.answer(answer)
        write_files(root, crm.origin, target.origin, model.openai_url)
        if database is not None:
            _keep_in(root, database)
        own = _environment(root)
        secret = {"QUERY_TOKEN": SECRETS["QUERY_TOKEN"]}
        secret["AMODAL_RT_WEBHOOK_KEY"] = SECRETS["WEBHOOK_KEY"]
        start = ["-c", _BLIND] if blind else ["-m", "amodal_rt"]
        log = folder / "daemon.log"

        async def begin() -> asyncio.subprocess.Process:
            with log.open("ab") as out:
                return await asyncio.create_subprocess_exec(
                    sys.executable, *start, "up", "--workspace", str(root), cwd=folder,
                    env={**own, **secret, "AMODAL_RT_LOG": "json"},
                    stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                )  # fmt: skip

        found = Scene(root, crm, target, model, await begin(), own, log, begin)
        try:
            await _ready(found)
            made = json.loads(
                await found.command("tokens", "create", "all", "--scope", "manage", "--json")
            )
            found.token = made["secret"]
            headers = {"Authorization": f"Bearer {found.token}"}
            timeout = aiohttp.ClientTimeout(total=180)
            async with aiohttp.ClientSession(
                headers=headers, timeout=timeout, cookie_jar=aiohttp.CookieJar(unsafe=True)
            ) as http:
                found.http = http
                yield found
        finally:
            await found.end()


async def _ready(found: Scene) -> None:
    record = found.root / ".amodal-rt" / "daemon.json"
    async with aiohttp.ClientSession() as http:
        for _ in range(1200):
            assert found.process.returncode is None, found.log.read_text()
            try:
                found.url = json.loads(record.read_text())["url"]
                async with http.get(f"{found.url}/readyz") as answered:
                    if answered.status == 200:
                        return
            except (OSError, ValueError, aiohttp.ClientError):
                pass
            await asyncio.sleep(0.1)
    raise AssertionError(found.log.read_text())


def children(pid: int) -> Mapping[str, bytes]:
    """Arguments and variables of all that the daemon has started."""
    found: dict[str, bytes] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents = re.search(r"\) \w (\d+)", (folder / "stat").read_text())
            if parents is None or int(parents[1]) != pid:
                continue
            found[f"arguments of {folder.name}"] = (folder / "cmdline").read_bytes()
            found[f"variables of {folder.name}"] = (folder / "environ").read_bytes()
            found.update(children(int(folder.name)))
        except OSError:
            continue
    return found


SANDBOXED = shutil.which("bwrap") is not None
