"""The OpenAPI document: in step with the routes, and true when somebody tries all of it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, write

from amodal_rt.servers.api.automations import ManagementApi
from amodal_rt.servers.api.openapi import ABOUT, openapi, openapi_route
from amodal_rt.servers.api.public import PublicApi
from amodal_rt.servers.api.runs import RunDoor
from amodal_rt.servers.control_tcp import control_guarded
from amodal_rt.servers.guard import Guarded

EXAMPLES = "3"
"""How many requests of each kind are tried for each operation: enough to find a wrong answer, few
enough for every run of the tests."""

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,ignored_auth"
)


class Nothing:
    """Has every verb: only the routes are asked for."""

    def __getattr__(self, name: str) -> None:
        return None


def _routes() -> list[Guarded]:
    nothing: Any = Nothing()
    runs = RunDoor(nothing, nothing)
    routes = [
        *PublicApi(nothing, nothing, nothing, runs, nothing, nothing).routes(),
        *ManagementApi(nothing, nothing, nothing, nothing, runs).routes(),
        *control_guarded(nothing),
    ]
    return [*routes, openapi_route(routes)]


def test_every_route_is_told_of_and_nothing_else() -> None:
    routes = _routes()
    api = {f"{each.method} {each.path}" for each in routes if not each.path.startswith("/v1/")}
    paths: Any = openapi(routes)["paths"]
    told = {f"{method.upper()} {path}" for path, each in paths.items() for method in each}

    assert api == set(ABOUT)
    assert told == {f"{each.method} {each.path}" for each in routes}


def test_operations_are_named_once() -> None:
    paths: Any = openapi(_routes())["paths"]
    names = [operation["operationId"] for each in paths.values() for operation in each.values()]

    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Generator[Child, None, None]:
    root = tmp_path_factory.mktemp("openapi") / "workspace"
    write(root, "connections/runtime/spec.json", {"protocol": "runtime"})
    write(root, "stores/notes.json", {"description": "Notes", "schema": {"type": "object"}})
    automation(root, "manual", connections=["runtime"])
    automation(root, "hook", trigger="webhook", connections=[])
    automation(root, "invoked", inputSchema={"type": "object"}, connections=[])
    with daemon(root) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_schemathesis_finds_no_answer_that_the_document_does_not_tell_of(
    child: Child, tmp_path: Path
) -> None:
    made = child.client.post("/v1/tokens", {"name": "fuzz", "scopes": ["manage"]})
    headers = {"Authorization": f"Bearer {made['secret']}"}
    asked = urllib.request.Request(f"{child.url}/openapi.json", headers=headers)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        document = json.loads(answer.read())
    # What it says last would else be that its own token is gone.
    for path in ("/v1/tokens/{id}/revoke", "/v1/runs/{id}/journal"):
        document["paths"].pop(path)
    file = write(tmp_path, "openapi.json", document)

    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"), "run", str(file),
            "--url", child.url, "--header", f"Authorization: Bearer {made['secret']}",
            "--checks", CHECKS,
            "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES,
            "--seed", "1", "--no-color", "--request-timeout", "30",
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "control.defect" not in child.output
    assert "api.defect" not in child.output
