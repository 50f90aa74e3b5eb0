"""The management plane: automations are made, changed and deleted as files, by programs."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from api_house import ADA, ApiHouse, api_house
from daemon_child import automation, write

from amodal_rt import ids

APP = "/apps/dap_1/automations"
DEVELOPER = "/protected/api/v1/developer/apps/dap_1/automations"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    automation(folder, "digest", schedule="0 9 * * *", connections=["runtime"])
    automation(folder, "hook", trigger="webhook", connections=[])
    automation(folder, "waiting", trigger="deploy.finished", connections=[], status="draft")
    write(folder, "automations/broken.json", {"title": "Broken"})
    return folder


@pytest.fixture
async def api(root: Path) -> AsyncGenerator[ApiHouse, None]:
    async with api_house(root) as opened:
        yield opened


@pytest.mark.parametrize("plane", [APP, DEVELOPER])
async def test_automations_are_listed_with_type_and_status(api: ApiHouse, plane: str) -> None:
    reader = await api.secret("read")

    status, page = await api.ask(reader, "GET", plane)
    rows = {each["lookup_key"]: each for each in page["data"]}

    assert status == 200
    assert {name: (each["type"], each["status"]) for name, each in rows.items()} == {
        "broken": ("invoked", "draft"),
        "digest": ("scheduled", "running"),
        "hook": ("trigger", "running"),
        "waiting": ("trigger", "draft"),
    }
    assert rows["digest"]["id"] == ids.automation("digest")
    assert (rows["digest"]["app"], rows["digest"]["schedule"]) == ("dap_1", "0 9 * * *")
    assert rows["waiting"]["trigger"] == "deploy.finished"
    assert (rows["digest"]["issue"], rows["broken"]["issue"]["code"]) == (None, "one_of")
    assert (page["has_more"], page["before_cursor"]) == (False, None)


async def test_a_list_is_walked_in_both_directions(api: ApiHouse) -> None:
    reader = await api.secret("read")

    _, first = await api.ask(reader, "GET", f"{APP}?limit=3")
    _, rest = await api.ask(reader, "GET", f"{APP}?limit=3&before_cursor={first['before_cursor']}")
    _, back = await api.ask(reader, "GET", f"{APP}?limit=3&after_cursor={rest['after_cursor']}")

    assert [each["lookup_key"] for each in first["data"]] == ["broken", "digest", "hook"]
    assert [each["lookup_key"] for each in rest["data"]] == ["waiting"]
    assert back["data"] == first["data"]
    assert (first["has_more"], rest["has_more"], back["has_more"]) == (True, False, False)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "bad_limit"),
        ("limit=101", "bad_limit"),
        ("limit=many", "bad_limit"),
        ("before_cursor=nowhere", "bad_cursor"),
        ("after_cursor=%C3%A9", "bad_cursor"),
        ("type=task", "bad_type"),
        ("status=done", "bad_status"),
    ],
)
async def test_what_is_wrong_with_a_query_is_400(api: ApiHouse, query: str, code: str) -> None:
    reader = await api.secret("read")

    answers = [await api.ask(reader, "GET", f"{APP}?{query}")]
    if not query.startswith("type"):
        answers.append(await api.ask(reader, "GET", f"{APP}/runs?{query}"))

    assert {(status, told["error"]["code"]) for status, told in answers} == {(400, code)}


async def test_a_new_automation_is_a_file_and_a_draft_until_it_is_activated(
    api: ApiHouse,
) -> None:
    manager = await api.secret("manage")

    status, made = await api.ask(
        manager,
        "POST",
        APP,
        {"name": "Welcome New Members", "type": "invoked", "prompt": "Say hello."},
    )
    one = f"{APP}/{made['id']}"
    _, active = await api.ask(manager, "POST", f"{one}/activate")
    _, paused = await api.ask(manager, "POST", f"{one}/pause", {"reason": "later"})
    _, again = await api.ask(manager, "POST", f"{one}/activate")

    assert status == 201
    assert (made["lookup_key"], made["status"]) == ("welcome-new-members", "draft")
    assert [each["status"] for each in (active, paused, again)] == ["running", "paused", "running"]
    assert api.file("welcome-new-members.json") == {
        "status": "active",
        "title": "Welcome New Members",
        "prompt": "Say hello.",
    }
    assert [each for each in await api.audited() if each[0].startswith("automation.")] == [
        ("automation.created", "welcome-new-members", "token:program", "api"),
        ("automation.activated", "welcome-new-members", "token:program", "api"),
        ("automation.paused", "welcome-new-members", "token:program", "api"),
        ("automation.resumed", "welcome-new-members", "token:program", "api"),
    ]


async def test_only_what_a_trigger_node_stands_for_is_activated(api: ApiHouse, root: Path) -> None:
    trigger = {"kind": "WorkflowTrigger", "id": "t", "trigger": "deploy.started"}
    write(root, "workflows/w.json", {"kind": "WorkflowGraph", "nodes": [trigger]})
    flow = {"title": "Flow", "trigger": "deploy.finished", "workflow": "w", "status": "draft"}
    write(root, "automations/flow.json", flow)
    await api.house.ground.workspace.reload()
    manager = await api.secret("manage")

    answers = [
        await api.ask(manager, "POST", f"{APP}/flow/activate"),
        await api.ask(manager, "POST", "/v1/automations/flow/activate"),
        await api.ask(manager, "PATCH", f"{APP}/flow", {"status": "running"}),
    ]

    assert [(status, told["error"]["code"]) for status, told in answers] == [
        (422, "trigger_mismatch")
    ] * 3
    assert api.file("flow.json") == flow


async def test_what_a_program_said_of_callers_is_what_it_reads_back(
    api: ApiHouse, root: Path
) -> None:
    trigger = {"kind": "WorkflowTrigger", "id": "t"}
    write(root, "workflows/w.json", {"kind": "WorkflowGraph", "name": "W", "nodes": [trigger]})
    await api.house.ground.workspace.reload()
    manager = await api.secret("manage", "read")
    said = {
        "config": "w",
        "invoke_auth": "secret_key",
        "input_schema": {"type": "object", "required": ["n"]},
        "prefills": {"payload": {"team": "shop"}},
    }

    status, made = await api.ask(manager, "POST", APP, {"name": "Flow", **said})
    _, found = await api.ask(manager, "GET", f"{APP}/{made['id']}")

    assert status == 201
    assert {key: found[key] for key in said} == said


@pytest.mark.parametrize("spelling", ["config", "config_id", "configId", "workflow"])
async def test_whatever_a_workflow_is_called_there_is_one_word_for_it_in_the_file(
    api: ApiHouse, root: Path, spelling: str
) -> None:
    for name in ("v", "w"):
        trigger = {"kind": "WorkflowTrigger", "id": "t"}
        graph = {"kind": "WorkflowGraph", "name": name, "nodes": [trigger]}
        write(root, f"workflows/{name}.json", graph)
    write(root, "automations/old.json", {"name": "Old", "config_id": "w"})
    await api.house.ground.workspace.reload()
    manager = await api.secret("manage")

    made = await api.ask(manager, "POST", APP, {"name": "Flow", spelling: "w"})
    changed = await api.ask(manager, "PATCH", f"{APP}/old", {"name": "New", spelling: "v"})

    assert [(status, found["config"]) for status, found in (made, changed)] == [
        (201, "w"),
        (200, "v"),
    ]
    assert api.file("flow.json") == {"status": "draft", "title": "Flow", "workflow": "w"}
    assert api.file("old.json") == {"name": "New", "config_id": "v"}


async def test_a_schema_is_given_and_never_named(api: ApiHouse) -> None:
    manager = await api.secret("manage")
    schema = {"type": "object"}

    async def make(name: str, **said: object) -> tuple[int, Any]:
        return await api.ask(manager, "POST", APP, {"name": name, "prompt": "Look.", **said})

    status, given = await make("Given", input_schema_config=schema)
    _, shown = await make("Shown", input_schema=schema, input_schema_config=None)
    refused, told = await make("Named", input_schema_config="cfg_1")

    assert (status, given["input_schema"], shown["input_schema"]) == (201, schema, schema)
    assert (refused, told["error"]["code"]) == (400, "bad_body")
    assert "input_schema" in told["error"]["hint"]


async def test_an_automation_is_as_old_as_its_file_and_no_younger_after_a_start(
    root: Path,
) -> None:
    async with api_house(root) as api:
        manager = await api.secret("manage", "read")
        _, made = await api.ask(manager, "POST", APP, {"name": "Aged", "prompt": "Look."})
        _, changed = await api.ask(manager, "PATCH", f"{APP}/aged", {"prompt": "Look again."})
    async with api_house(root) as api:
        _, listed = await api.ask(manager, "GET", APP)
    page = {each["lookup_key"]: each for each in listed["data"]}

    assert made["created_at"] == made["updated_at"] == changed["created_at"]
    assert changed["updated_at"] > changed["created_at"]
    assert page["aged"] == changed
    assert page["broken"]["created_at"] is None


async def test_a_program_gets_around_no_rule_by_starting_a_run_by_hand(
    api: ApiHouse, root: Path
) -> None:
    rules = {"prefills": {"payload": {"team": "shop"}}, "prompt": "Look."}
    write(root, "automations/locked.json", {"title": "Locked", **rules})
    write(root, "automations/person.json", {"title": "Person", "invokeAuth": "user", **rules})
    await api.house.ground.workspace.reload()
    program, operator = (
        await api.secret("read", "trigger"),
        await api.secret("manage", "trigger", name="boss"),
    )

    async def start(token: str, name: str, payload: object) -> tuple[int, str | None]:
        path = f"/v1/automations/{name}/trigger"
        status, told = await api.ask(token, "POST", path, {"payload": payload})
        return status, told["error"]["code"] if told.get("error") else None

    assert [
        await start(program, "locked", {"team": "bank"}),
        await start(operator, "locked", {"team": "bank"}),
        await start(program, "person", {}),
    ] == [(422, "payload_locked"), (422, "payload_locked"), (403, "wrong_invoke_auth")]
    assert (await start(operator, "person", {}))[1] is None
    assert (await start(program, "locked", {"team": "shop"}))[1] is None


async def test_a_change_keeps_what_it_does_not_touch(api: ApiHouse, root: Path) -> None:
    text = (
        '{\n  "title": "Kept",  "prompt": "Look.",\n  "metadata": {"a" : 1}, "description": "x"\n}'
    )
    write(root, "automations/kept.json", text)
    write(root, "automations/note.md", "---\ntitle: Note # mine\ndescription: y\n---\n\nOld.\n")
    await api.house.ground.workspace.reload()
    manager = await api.secret("manage")

    status, changed = await api.ask(
        manager,
        "PATCH",
        f"{APP}/kept",
        {"name": "Other", "description": None, "schedule": "@daily"},
    )
    _, note = await api.ask(
        manager, "PUT", f"{APP}/note", {"prompt": "New.", "description": None, "timezone": "UTC"}
    )

    assert (status, changed["name"], changed["type"]) == (200, "Other", "scheduled")
    assert (root / "automations/kept.json").read_text() == (
        '{\n  "title": "Other",  "prompt": "Look.",\n  "metadata": {"a" : 1},'
        '\n  "schedule": "@daily"\n}'
    )
    assert (note["description"], note["timezone"]) == (None, "UTC")
    said = (root / "automations/note.md").read_text()
    assert "title: Note # mine" in said
    assert said.endswith("---\n\nNew.\n")


async def test_what_could_not_run_is_refused_before_it_is_written(api: ApiHouse) -> None:
    manager = await api.secret("manage")
    before = api.file("digest.json")

    wrong = [
        await api.ask(manager, "POST", APP, {"name": "A", "prompt": "x", "shedule": "@daily"}),
        await api.ask(manager, "POST", APP, {"name": "A", "prompt": "x", "connections": ["no"]}),
        await api.ask(manager, "POST", APP, {"name": "A"}),
        await api.ask(manager, "POST", APP, {"name": "A", "prompt": "x", "type": "scheduled"}),
        await api.ask(manager, "PATCH", f"{APP}/digest", {"schedule": "61 * * * *"}),
    ]

    assert [status for status, _ in wrong] == [422] * 5
    assert [told["error"]["code"] for _, told in wrong[:2]] == ["unknown_key", "unknown_connection"]
    assert wrong[3][1]["error"]["code"] == "type_mismatch"
    assert api.file("digest.json") == before
    assert not (api.root / "automations/a.json").exists()


async def test_a_name_is_given_once(api: ApiHouse) -> None:
    manager = await api.secret("manage")

    status, told = await api.ask(manager, "POST", APP, {"name": "Digest", "prompt": "x"})

    assert (status, told["error"]["code"]) == (409, "automation_exists")


async def test_what_is_deleted_is_gone_at_once_and_its_runs_stay(api: ApiHouse) -> None:
    manager = await api.secret("manage")
    run = await api.house.automations.trigger(ADA, "digest")
    await api.house.runs.wait(str(run["run_id"]))

    status, nothing = await api.ask(manager, "DELETE", f"{APP}/digest")
    gone, told = await api.ask(manager, "GET", f"{APP}/digest")
    _, page = await api.ask(manager, "GET", f"{APP}/runs")

    assert (status, nothing) == (204, None)
    assert (gone, told["error"]["code"]) == (404, "automation_not_found")
    assert not (api.root / "automations/digest.json").exists()
    assert [each["automation_name"] for each in page["data"]] == ["digest"]


async def test_runs_are_shown_and_listed_in_pages_without_those_that_were_skipped(
    api: ApiHouse,
) -> None:
    reader = await api.secret("read")
    for number in range(3):
        run = await api.house.automations.trigger(ADA, "digest", payload={"n": number})
        await api.house.runs.wait(str(run["run_id"]))

    _, first = await api.ask(reader, "GET", f"{APP}/digest/runs?limit=2")
    _, rest = await api.ask(
        reader, "GET", f"{DEVELOPER}/runs?limit=2&before_cursor={first['before_cursor']}"
    )
    _, skipped = await api.ask(reader, "GET", f"{APP}/runs?status=skipped")
    status, one = await api.ask(reader, "GET", f"{APP}/runs/{rest['data'][0]['id']}")
    _, journal = await api.ask(reader, "GET", f"{APP}/runs/{one['id']}/journal?limit=1")

    assert [each["payload"]["n"] for each in first["data"] + rest["data"]] == [2, 1, 0]
    assert (first["has_more"], rest["has_more"], skipped["data"]) == (True, False, [])
    assert (status, one["app"], one["status"]) == (200, "dap_1", "completed")
    assert (journal["data"][0]["type"], journal["has_more"]) == ("run_started", True)


async def test_events_are_told_by_name_and_description(api: ApiHouse) -> None:
    reader = await api.secret("read")

    status, rows = await api.ask(reader, "GET", f"{APP}/events")

    assert status == 200
    assert {"name", "description"} == set(rows[0])
    assert "thread.created" in {each["name"] for each in rows}


async def test_the_url_of_a_webhook_is_for_tokens_that_may_start_runs(api: ApiHouse) -> None:
    reader, starter = await api.secret("read"), await api.secret("read", "trigger", name="s")

    _, hidden = await api.ask(reader, "GET", f"{APP}/hook")
    _, shown = await api.ask(starter, "GET", f"{APP}/hook")

    assert hidden["webhook_url"] is None
    assert "/webhooks/auto_" in shown["webhook_url"]
