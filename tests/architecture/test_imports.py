"""The import contracts of pyproject.toml hold, and each of them can break."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import tree

LINT = "import sys; from importlinter.cli import lint_imports_command as lint; sys.exit(lint())"


def _contracts() -> list[dict[str, Any]]:
    text = (tree.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["tool"]["importlinter"]["contracts"]


def _rooms() -> list[str]:
    """Every name in the layers contract."""
    layers: list[str] = _contracts()[0]["layers"]
    return [name.strip() for layer in layers for name in re.split(r"[|:]", layer)]


# Each library in a room that owns it: import-linter refuses a contract about one it never meets.
OWNED = {
    "intake/owned": "import cryptography, jwt",
    "triggers/owned": "import apscheduler",
    "storage/owned": "import alembic, pgqueuer, psycopg, sqlalchemy, sqlite3",
    "cli/owned": "import rich, typer",
    "workspace/owned": "import watchfiles",
    "delivery/owned": "import aiohttp, liquid",
    "executors/owned": "import mcp, pydantic_ai, pydantic_monty",
    "definitions/owned": "import markdown_it, ruamel.yaml",
    "servers/owned": "import jinja2, markupsafe, prometheus_client",
}


def _skeleton(folder: Path, imports: dict[str, str]) -> Path:
    """A house with every room, the libraries at their owners', and `imports` beside them."""
    package = folder / "amodal_rt"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in _rooms():
        (package / name).mkdir(exist_ok=True)
        (package / name / "__init__.py").write_text("")
    (package / "daemon" / "embedding.py").write_text("")
    (package / "__init__.py").write_text("import amodal_rt.api, amodal_rt.daemon.embedding\n")
    for module, text in {**OWNED, **imports}.items():
        path = package / f"{module}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    (folder / "pyproject.toml").write_bytes((tree.ROOT / "pyproject.toml").read_bytes())
    return folder


def _lint(folder: Path) -> dict[str, str]:
    """`{contract: KEPT or BROKEN}` as import-linter judges the package in `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(.+?) (KEPT|BROKEN)\b", done.stdout, re.MULTILINE)
    assert len(found) == len(_contracts()), done.stdout + done.stderr
    return dict(found)


def test_a_house_with_every_library_at_its_owner_keeps_every_contract(tmp_path: Path) -> None:
    judged = _lint(_skeleton(tmp_path, {}))

    assert set(judged.values()) == {"KEPT"}


def test_each_contract_can_break(tmp_path: Path) -> None:
    """One breach of each: a sideways import, a ring, and every owned library in a wrong room."""
    breaches = {
        "intake/sideways": "import amodal_rt.engine",
        "engine/ring_a": "import amodal_rt.engine.ring_b",
        "engine/ring_b": "import amodal_rt.engine.ring_a",
        "engine/clock": "import apscheduler.schedulers.asyncio",
        "engine/sql": "import sqlite3",
        "daemon/colour": "import rich.table",
        "intake/watch": "import watchfiles",
        "intake/template": "import liquid",
        "guardrails/proofs": "import jwt",
        "servers/model": "import pydantic_ai",
        "servers/script": "import pydantic_monty",
        "operations/protocol": "import mcp",
        "operations/page": "import jinja2",
        "operations/measure": "import prometheus_client",
        "daemon/http": "import aiohttp.web",
        "workspace/yaml": "from ruamel.yaml import YAML",
    }

    judged = _lint(_skeleton(tmp_path, breaches))

    assert set(judged.values()) == {"BROKEN"}


def test_a_new_room_needs_a_place(tmp_path: Path) -> None:
    judged = _lint(_skeleton(tmp_path, {"attic": ""}))

    assert judged["Imports point down the tree"] == "BROKEN"


def test_an_upward_import_breaks_even_when_hidden_in_a_function(tmp_path: Path) -> None:
    hidden = "def load() -> None:\n    import amodal_rt.ports"

    judged = _lint(_skeleton(tmp_path, {"domain/upward": hidden}))

    assert judged["Imports point down the tree"] == "BROKEN"
