"""Programs narrow what automations may do, and widen nothing (specification §6.3)."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from api_house import ApiHouse, api_house
from daemon_child import automation, write

APP = "/apps/dap_1/automations"
HERE = {"type": "webhook", "url": "https://here.example/in"}
ELSEWHERE = {"type": "webhook", "url": "https://elsewhere.example/in"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    write(folder, "connections/other/spec.json", {"protocol": "runtime"})
    write(folder, "identities.json", {"members": [{"id": "ada"}]})
    write(folder, "amodal.json", {"targets": {"named": HERE}})
    automation(folder, "narrow", connections=["runtime"], tools=["runtime.*"])
    automation(folder, "writer", connections=["runtime"], writeEnabled=True)
    return folder


@pytest.fixture
async def api(root: Path) -> AsyncGenerator[ApiHouse, None]:
    async with api_house(root) as opened:
        yield opened


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"writeEnabled": True}, "writeEnabled"),
        ({"write_enabled": True}, "writeEnabled"),
        ({"connections": ["runtime", "other"]}, "connections"),
        ({"connections": None}, "connections"),
        ({"tools": ["*"]}, "tools"),
        ({"tools": None}, "tools"),
        ({"runAs": "ada"}, "runAs"),
        ({"run_as_user": "ada"}, "runAs"),
        ({"delivery": {"targets": [ELSEWHERE]}}, "delivery"),
        ({"failureAlert": {"targets": [ELSEWHERE]}}, "delivery"),
        ({"limits": {"writes": {"perRun": 1000}}}, "limits.writes"),
    ],
)
async def test_a_program_may_not_set_or_widen(
    api: ApiHouse, keys: dict[str, object], named: str
) -> None:
    manager = await api.secret("manage")
    before = api.file("narrow.json")

    status, told = await api.ask(manager, "PATCH", f"{APP}/narrow", keys)

    assert (status, told["error"]["code"]) == (403, "power_not_granted")
    assert named in told["error"]["message"]
    assert api.file("narrow.json") == before
    denied = ("automation.powers_denied", "narrow", "token:program", "api")
    assert denied in await api.audited()


@pytest.mark.parametrize(
    "keys",
    [
        {"writeEnabled": True},
        {"delivery": {"targets": [ELSEWHERE]}},
        {"runAs": "ada"},
        {"limits": {"writes": {"perHour": 61}}},
    ],
)
async def test_nor_make_one_that_has_powers(api: ApiHouse, keys: dict[str, object]) -> None:
    manager = await api.secret("manage")

    status, told = await api.ask(manager, "POST", APP, {"name": "New", "prompt": "x", **keys})

    assert (status, told["error"]["code"]) == (403, "power_not_granted")
    assert not (api.root / "automations/new.json").exists()


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("narrow", {"connections": []}),
        ("narrow", {"tools": ["runtime.request"]}),
        ("narrow", {"writeEnabled": False}),
        ("narrow", {"delivery": {"targets": ["named"]}}),
        ("narrow", {"prompt": "Look elsewhere."}),
        ("writer", {"description": "as it was"}),
        ("writer", {"limits": {"writes": {"perRun": 1}}}),
    ],
)
async def test_it_may_narrow_and_change_what_is_no_power(
    api: ApiHouse, name: str, keys: dict[str, object]
) -> None:
    manager = await api.secret("manage")

    status, _ = await api.ask(manager, "PATCH", f"{APP}/{name}", keys)

    assert status == 200


async def test_a_file_may_say_that_programs_grant_powers(api: ApiHouse, root: Path) -> None:
    write(root, "amodal.json", {"api": {"mayGrantPowers": True}})
    await api.house.ground.workspace.reload()
    manager = await api.secret("manage")

    status, _ = await api.ask(manager, "PATCH", f"{APP}/narrow", {"writeEnabled": True})

    assert status == 200
    assert api.file("narrow.json")["writeEnabled"] is True


@pytest.mark.skipif(os.getuid() == 0, reason="root writes into every folder")
async def test_a_folder_that_cannot_be_written_is_told_as_read_only(api: ApiHouse) -> None:
    manager = await api.secret("manage")
    folder = api.root / "automations"
    folder.chmod(0o555)
    try:
        made = await api.ask(manager, "POST", APP, {"name": "New", "prompt": "x"})
        gone = await api.ask(manager, "DELETE", f"{APP}/narrow")
    finally:
        folder.chmod(0o755)

    assert [(status, told["error"]["code"]) for status, told in (made, gone)] == [
        (403, "read_only"),
        (403, "read_only"),
    ]
