"""Secrets planted everywhere are found nowhere but where they are needed."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from files import Workspace
from installed import Installed
from outside import Daemon, Site, post_json, send
from services import rest
from stub_http import Reply, Request, Stub
from stub_model import Chat, Model, Refuse, Say, Turn, Use, get, use
from waiting import eventually

CANARIES = {
    "MODEL_KEY": "canary-model/+=&1a",
    "CRM_TOKEN": "canary-crm/+=&2b",
    "BASIC_PASSWORD": "canary-basic/+=&3c",
    "QUERY_TOKEN": "canary-query/+=&4d",
    "HOOK_SECRET": "canary-hook/+=&5e",
    "SIGNING_SECRET": "whsec_Y2FuYXJ5LXNpZ25pbmctc2VjcmV0LTZm",
    "SLACK_PATH": "T0CANARY/B0CANARY/canary7g",
    "MCP_TOKEN": "canary-mcp/+=&8h",
    "SPARE_KEY": "canary-unused/+=&9i",
}
"""Nothing in them survives URL, JSON or base64 encoding unchanged."""


def disguises(value: str) -> dict[str, bytes]:
    """The value as it might slip out."""
    raw = value.encode()
    found = {
        "raw": raw,
        "base64": base64.b64encode(raw).rstrip(b"="),
        "base64 for URLs": base64.urlsafe_b64encode(raw).rstrip(b"="),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "quoted": quote(value).encode(),
        "quoted whole": quote(value, safe="").encode(),
        "JSON": json.dumps(value)[1:-1].encode(),
        "backwards": raw[::-1],
    }
    # A user name before the password moves the base64 grid by some bytes.
    for shift in (1, 2):
        inner = base64.b64encode(b"x" * shift + raw)
        found[f"base64 shifted {shift}"] = inner[4:-4]
    return found


def leaks(content: bytes, names: set[str] | None = None) -> set[str]:
    """Which canaries stand in `content`, and in what disguise."""
    return {
        f"{name} ({disguise})"
        for name, value in CANARIES.items()
        if names is None or name in names
        for disguise, text in disguises(value).items()
        if text in content
    }


@dataclass
class Scene:
    """A daemon after a day's work with a service that repeats every secret it is told."""

    site: Site
    model: Model
    crm: Stub
    receiver: Stub
    daemon: Daemon


def _echo(request: Request) -> Reply:
    """A careless service: it repeats its credentials in headers, bodies and errors."""
    said = {"headers": request.headers, "query": request.query}
    token = CANARIES["CRM_TOKEN"]
    said["encoded"] = {
        "base64": base64.b64encode(token.encode()).decode(),
        "hex": token.encode().hex(),
        "quoted": quote(token, safe=""),
    }
    return Reply(403 if request.path == "/forbidden" else 200, said)


def _brain(chat: Chat) -> Turn:
    if "break" in chat.prompt:
        return Refuse(401, f"Incorrect API key provided: {CANARIES['MODEL_KEY']}")
    if chat.turn == 0:
        calls = [
            get(name, path) for name in ("crm", "basic", "query") for path in ("/", "/forbidden")
        ]
        calls += [
            ("read_connection", {"name": name}) for name in ("crm", "basic", "query", "notes")
        ]
        calls += [("notes__read_note", {"name": "env"}), ("notes__read_note", {"name": "missing"})]
        return Use(tuple(calls))
    if chat.turn == 1:
        return use("write_store", store="seen", key="k", value={"told": "\n".join(chat.results)})
    return Say("I was told: " + "\n".join(chat.results))


@pytest.fixture(scope="module")
def scene(shared_site: Site, shared_model: Model, installed: Installed) -> Iterator[Scene]:
    shared_model.brain = _brain
    with Stub(_echo) as crm, Stub() as receiver:
        files = Workspace(shared_site.workspace)
        files.settings(shared_model.settings())
        slack = f"{receiver.url}/services/{CANARIES['SLACK_PATH']}"
        files.secrets(**CANARIES, SLACK_URL=slack)
        files.write("stores/seen.json", {"schema": {"type": "object"}})
        _connections(files, crm, installed, shared_site.root / "notes")
        target = {"type": "webhook", "url": "env:SLACK_URL", "secret": "env:SIGNING_SECRET"}
        files.automation(
            "gossip",
            trigger="webhook",
            webhookAuth={"type": "hmac-sha256", "secret": "env:HOOK_SECRET"},
            delivery={"targets": [target]},
        )
        files.automation("teller", delivery={"targets": [target], "template": "{{ result }}"})
        files.automation("broken", prompt="Please break.", failureAlert={"targets": [target]})
        files.automation("echo", trigger="webhook", delivery={"targets": [target]})
        daemon = shared_site.up(AMODAL_RT_LOG="json")
        _a_days_work(shared_site, receiver)
        yield Scene(shared_site, shared_model, crm, receiver, daemon)


def _connections(files: Workspace, crm: Stub, installed: Installed, notes: Path) -> None:
    notes.mkdir()
    (notes / "env.txt").write_text(f"the token is {CANARIES['MCP_TOKEN']}")
    files.connection("crm", rest(crm.url, {"type": "bearer", "token": "env:CRM_TOKEN"}))
    basic = {"type": "basic", "username": "robot", "password": "env:BASIC_PASSWORD"}
    files.connection("basic", rest(crm.url, basic))
    query = {"type": "query", "parameter": "api_key", "token": "env:QUERY_TOKEN"}
    files.connection("query", rest(crm.url, query))
    server = {
        "protocol": "mcp", "transport": "stdio", "command": str(installed.python),
        "args": [str(Path(__file__).with_name("mcp_notes.py")), str(notes)],
        "env": {"NOTES_TOKEN": "env:MCP_TOKEN"},
    }  # fmt: skip
    files.connection("notes", server, access={"tools": {"read_note": {"intent": "read"}}})


def _a_days_work(site: Site, receiver: Stub) -> None:
    for name in ("gossip", "teller"):
        done = site.ops("automations", "trigger", name, "--wait", "--json")
        assert done.json()["status"] == "completed", done
    assert site.ops("automations", "trigger", "broken").code == 1
    headers = {"Authorization": f"Bearer {CANARIES['CRM_TOKEN']}", "X-Api-Key": "canary-stranger"}
    run = post_json(site.hook("echo"), {"n": 1}, headers).json()["run_id"]
    site.finished(run)
    assert send(site.hook("gossip"), b"{}", {"X-Signature-256": "sha256=00"}).status == 401
    eventually(lambda: len(receiver.requests) >= 4, "all messages have arrived")


EVERY_VERB = [
    ("automations", "list"), ("automations", "show", "gossip"), ("automations", "show", "broken"),
    ("automations", "history", "gossip"), ("automations", "why", "gossip"), ("runs", "list"),
    ("events", "list"), ("events", "list", "--rejected"), ("deliveries", "list"),
    ("connections", "list"), ("connections", "tools", "crm"), ("connections", "tools", "notes"),
    ("connections", "test", "crm"), ("connections", "test", "basic"),
    ("connections", "test", "query"), ("connections", "test", "notes"),
    ("stores", "list"), ("stores", "show", "seen"),
]  # fmt: skip


def test_the_canaries_were_in_use(scene: Scene) -> None:
    """Guards the others: secrets that nobody used could not have leaked."""
    told = b"".join(request.raw() for request in scene.crm.requests)
    keys = {request.headers.get("authorization") for request in scene.model.requests}
    paths = {request.path for request in scene.receiver.requests}

    assert CANARIES["CRM_TOKEN"].encode() in told
    assert base64.b64encode(f"robot:{CANARIES['BASIC_PASSWORD']}".encode()) in told
    assert {each.query.get("api_key") for each in scene.crm.requests} == {
        None,
        CANARIES["QUERY_TOKEN"],
    }
    assert keys == {f"Bearer {CANARIES['MODEL_KEY']}"}
    assert paths == {f"/services/{CANARIES['SLACK_PATH']}"}
    assert any("the token is" in chat.everything for chat in scene.model.chats)


def test_no_prompt_carries_a_secret(scene: Scene) -> None:
    bodies = b"\n".join(request.body for request in scene.model.requests)

    assert leaks(bodies) == set()
    assert len(bodies) > 1000


def test_each_credential_goes_to_its_own_place_only(scene: Scene) -> None:
    others = CANARIES.keys() - {"MODEL_KEY"}
    assert leaks(b"".join(each.raw() for each in scene.model.requests), set(others)) == set()
    for request in scene.crm.requests:
        assert leaks(request.body + request.path.encode()) == set()
        strangers = {"MODEL_KEY", "HOOK_SECRET", "MCP_TOKEN", "SPARE_KEY", "SIGNING_SECRET"}
        assert leaks(request.raw(), strangers) == set()


def test_no_delivery_carries_a_secret(scene: Scene) -> None:
    for request in scene.receiver.requests:
        assert leaks(request.body) == set()
        assert leaks(request.raw(), set(CANARIES) - {"SLACK_PATH"}) == set()
        assert request.headers["webhook-signature"]


def test_no_file_of_the_state_folder_holds_a_secret(scene: Scene) -> None:
    state = scene.site.workspace / ".amodal-rt"
    found = {
        str(path.relative_to(state)): leaks(path.read_bytes())
        for path in state.rglob("*")
        if path.is_file()
    }

    assert {name: each for name, each in found.items() if each} == {}
    assert any(size > 50_000 for size in (path.stat().st_size for path in state.iterdir()))


def test_no_output_of_the_daemon_holds_a_secret(scene: Scene) -> None:
    said = scene.daemon.output().encode()

    assert leaks(said) == set()
    assert b"canary-stranger" not in said


@pytest.mark.parametrize("words", EVERY_VERB, ids=" ".join)
def test_no_command_shows_a_secret(scene: Scene, words: tuple[str, ...]) -> None:
    for flags in ((), ("--json",)):
        done = scene.site.ops(*words, *flags)
        assert done.out
        assert leaks((done.out + done.err).encode()) == set()


def test_neither_runs_nor_journals_nor_events_nor_messages_show_one(scene: Scene) -> None:
    site = scene.site
    asked: list[tuple[str, ...]] = []
    for run in site.ask("runs", "list"):
        asked += [("runs", "show", run["run_id"]), ("runs", "logs", run["run_id"])]
    asked += [("events", "show", each["event_id"]) for each in site.ask("events", "list")]
    messages: list[dict[str, Any]] = site.ask("deliveries", "list")
    asked += [("deliveries", "show", each["delivery_id"]) for each in messages]
    said = b""
    for words in asked:
        for flags in ((), ("--json",)):
            done = site.ops(*words, *flags)
            assert done.code == 0, done
            said += (done.out + done.err).encode()

    assert leaks(said) == set()
    assert b"canary-stranger" not in said
    assert b"[secret]" in said


def test_validate_shows_none(scene: Scene) -> None:
    done = scene.site.run("amodal-rt", "validate", "--env", "--json")

    assert leaks((done.out + done.err).encode()) == set()
    assert done.code == 0
