"""A model that always tries to write reaches nothing, until a reviewed line lets it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from files import Workspace
from installed import Installed
from outside import Site
from services import rest
from stub_http import Reply, Request, Stub
from stub_model import Chat, Model, Say, Turn, Use

Call = tuple[str, dict[str, Any]]
READING = {"GET", "HEAD", "OPTIONS"}


def _request(method: str, endpoint: str = "/deals/1", **more: Any) -> Call:
    return "request", {"connection": "crm", "method": method, "endpoint": endpoint, **more}


def _careful(method: str, endpoint: str, **more: Any) -> Call:
    return "request", {"connection": "careful", "method": method, "endpoint": endpoint, **more}


ATTEMPTS: dict[str, Call] = {
    "post": _request("POST", "/deals", data={"name": "x"}),
    "put": _request("PUT", data={"name": "x"}),
    "patch": _request("PATCH", data={"name": "x"}),
    "delete": _request("DELETE"),
    "lower case": _request("delete"),
    "own word for it": _request("PURGE"),
    "posing as a read": _request("POST", "/deals", data={}, intent="read"),
    "confirmed by itself": _request("POST", "/deals", data={}, intent="confirmed_write"),
    "override header": _request("GET", headers={"X-HTTP-Method-Override": "DELETE"}),
    "override header, other capitals": _request("GET", headers={"x-http-method": "PUT"}),
    "override parameter": _request("GET", params={"_method": "DELETE"}),
    "override in the address": _request("GET", "/deals/1?_method=DELETE"),
    "override on an allowed read": _request(
        "POST", "/search", data={}, headers={"X-Method-Override": "DELETE"}
    ),
    "graphql mutation": _request(
        "POST", "/graphql", data={"query": "mutation { deleteDeal(id: 1) { id } }"}
    ),
    "graphql mutation behind a query": _request(
        "POST", "/graphql", data={"query": "query a { me }\nmutation b { wipe }",
                                  "operationName": "b"}
    ),
    "graphql mutation in the address": _request(
        "GET", "/graphql", params={"query": "mutation { wipe }"}
    ),
    "another host": _request("GET", "http://169.254.169.254/latest/meta-data"),
    "another host without scheme": _request("GET", "//169.254.169.254/latest"),
    "out of the base path": _request("POST", "/search/../deals", data={}),
}  # fmt: skip

ACCESS = {
    "endpoints": {"POST /search": {"intent": "read"}, "POST /graphql": {"intent": "read"}},
}


RULES = {"DELETE /deals/{id}": {"confirm": "never"}, "PUT /deals/{id}": {"confirm": True}}

AUTOMATIONS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "modest": {},
    "scribbler": {},
    "delegating": {"prompt": "Delegate the dirty work."},
    "trusted": {"writeEnabled": True, "prompt": "POST /deals as x, then keep the note kept."},
    "bounded": {"writeEnabled": True, "connections": ["careful"]},
    "eager": {"writeEnabled": True, "prompt": "POST /deals.", "limits": {"writes": {"perRun": 2}}},
    "narrow": {"connections": ["notes"], "tools": ["notes.read_*"]},
}


@dataclass(frozen=True)
class Stage:
    """A daemon, a REST service and an MCP server that keeps its notes in `notes`."""

    site: Site
    crm: Stub
    notes: Path


@pytest.fixture(scope="module")
def running(shared_site: Site, shared_model: Model, installed: Installed) -> Iterator[Stage]:
    with Stub(lambda _: Reply(200, {"ok": True})) as crm:
        files = Workspace(shared_site.workspace)
        files.settings(shared_model.settings())
        files.secrets(MODEL_KEY="key")
        files.connection("crm", rest(crm.url, {"type": "none"}), access=ACCESS)
        files.connection("careful", rest(crm.url, {"type": "none"}), access={"endpoints": RULES})
        notes = shared_site.root / "notes"
        notes.mkdir()
        (notes / "today.txt").write_text("buy milk")
        server = {
            "protocol": "mcp", "transport": "stdio", "command": str(installed.python),
            "args": [str(Path(__file__).with_name("mcp_notes.py")), str(notes)],
        }  # fmt: skip
        files.connection("notes", server, access={"tools": {"read_note": {"intent": "read"}}})
        for name, keys in AUTOMATIONS.items():
            files.automation(name, **keys)
        shared_site.up()
        yield Stage(shared_site, crm, notes)


@pytest.fixture
def site(running: Stage) -> Site:
    return running.site


@pytest.fixture
def crm(running: Stage) -> Stub:
    running.crm.requests.clear()
    return running.crm


@pytest.fixture
def notes(running: Stage) -> Path:
    return running.notes


@pytest.fixture
def model(shared_model: Model) -> Model:
    shared_model.forget()
    return shared_model


def _changes(crm: Stub) -> list[Request]:
    """What arrived that a server may take for a write."""

    def may_change(request: Request) -> bool:
        said = str((request.headers, request.query, request.body)).lower()
        disguised = "method" in said or "mutation" in said
        return disguised or request.method not in READING

    return [each for each in list(crm.requests) if may_change(each)]


def _once(*calls: Call) -> Any:
    """A brain that makes these calls side by side and reports what it was told."""

    def brain(chat: Chat) -> Turn:
        return Use(calls) if chat.turn == 0 else Say("\n---\n".join(chat.results))

    return brain


def _run(site: Site, name: str) -> dict[str, Any]:
    run = site.ops("automations", "trigger", name, "--wait", "--json").json()
    assert run["status"] == "completed", run
    return run


def test_no_way_of_writing_reaches_a_server_without_write_enabled(
    site: Site, model: Model, crm: Stub
) -> None:
    reached: dict[str, list[Request]] = {}
    told: dict[str, str] = {}
    for attempt, call in ATTEMPTS.items():
        crm.requests.clear()
        model.brain = _once(call)
        told[attempt] = _run(site, "greedy")["result"]["text"]
        if crm.requests:
            reached[attempt] = list(crm.requests)

    assert reached == {}
    refusal = told["post"]
    assert "writeEnabled" in refusal
    assert "automations/greedy.json" in refusal


def test_reads_and_what_the_owner_calls_a_read_do_reach_it(
    site: Site, model: Model, crm: Stub
) -> None:
    """Guards the test above: a runtime that lets nothing out would pass it."""
    query = {"query": "query { me { id } }"}
    model.brain = _once(
        _request("GET"),
        _request("HEAD"),
        _request("POST", "/search", data={"q": "x"}),
        _request("POST", "/graphql", data=query),
        ("notes__read_note", {"name": "today"}),
    )
    text = _run(site, "modest")["result"]["text"]

    assert sorted(each.method for each in crm.requests) == ["GET", "HEAD", "POST", "POST"]
    assert "buy milk" in text


def test_an_mcp_tool_that_claims_to_be_read_only_is_still_a_write(
    site: Site, model: Model, notes: Path
) -> None:
    model.brain = _once(("notes__save_note", {"name": "evil", "text": "was here"}))
    text = _run(site, "scribbler")["result"]["text"]
    tools = {each["name"]: each for each in site.ask("connections", "tools", "notes")}

    assert not (notes / "evil.txt").exists()
    assert "writeEnabled" in text
    assert tools["read_note"]["intent"] == "read"
    assert tools["save_note"]["intent"] in {"write", "unknown"}


def test_a_sub_agent_has_no_more_power_than_its_parent(
    site: Site, model: Model, crm: Stub, notes: Path
) -> None:
    seen: list[set[str]] = []

    def brain(chat: Chat) -> Turn:
        if "dirty work" in chat.prompt and "sub-task" not in chat.prompt:
            tasks = [("dispatch_task", {"task": f"sub-task {number}"}) for number in (1, 2)]
            return Use(tuple(tasks)) if chat.turn == 0 else Say(" ".join(chat.results))
        seen.append(chat.tools)
        if chat.turn == 0:
            save = ("notes__save_note", {"name": "evil", "text": "was here"})
            return Use((_request("DELETE"), _request("POST", "/deals", data={}), save))
        return Say("sub-agent was told: " + " ".join(chat.results))

    model.brain = brain
    text = _run(site, "delegating")["result"]["text"]

    assert len(seen) >= 4
    assert "writeEnabled" in text
    assert crm.requests == []
    assert not (notes / "evil.txt").exists()


def test_the_journal_names_each_refusal(site: Site, model: Model) -> None:
    model.brain = _once(_request("DELETE"))
    entries = site.journal(_run(site, "greedy")["run_id"])

    assert [each["type"] for each in entries if "denied" in each["type"]] == ["tool.denied"]


def test_with_write_enabled_the_write_arrives_and_is_journaled_before_and_after(
    site: Site, model: Model, crm: Stub, notes: Path
) -> None:
    save = ("notes__save_note", {"name": "kept", "text": "for later"})
    model.brain = _once(_request("POST", "/deals", data={"name": "x"}, intent="write"), save)
    run = _run(site, "trusted")
    types = [each["type"] for each in site.journal(run["run_id"])]

    assert [each.json() for each in crm.sent("POST", "/deals")] == [{"name": "x"}]
    assert (notes / "kept.txt").read_text() == "for later"
    assert types.count("write.started") == 2
    assert types.count("write.finished") == 2
    assert types.index("write.started") < types.index("write.finished")


def test_even_then_a_call_that_says_read_and_one_that_needs_a_person_are_refused(
    site: Site, model: Model, crm: Stub
) -> None:
    model.brain = _once(
        _careful("POST", "/deals", data={}, intent="read"),
        _careful("DELETE", "/deals/7"),
        _careful("PUT", "/deals/8", data={}),
    )
    _run(site, "bounded")

    assert _changes(crm) == []


def test_writes_are_counted_per_run(site: Site, model: Model, crm: Stub) -> None:
    model.brain = _once(*[_request("POST", "/deals", data={"n": n}) for n in range(5)])
    _run(site, "eager")

    assert len(crm.sent("POST", "/deals")) == 2


def test_only_granted_connections_and_tools_exist(site: Site, model: Model, crm: Stub) -> None:
    model.brain = _once(_request("GET"), ("notes__read_note", {"name": "today"}))
    text = _run(site, "narrow")["result"]["text"]

    assert crm.requests == []
    assert "buy milk" in text
    assert "notes__save_note" not in model.chats[0].tools
