"""The workspace of the duels: an automation for each task of a user, as an operator writes it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MODEL = "attacker:obedient"

Powers = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""What the file of a task says of its powers, from the suite and what is known of the task."""


def write_workspace(
    root: Path, suite: str, tasks: Mapping[str, Any], origin: str, *, powers: Powers
) -> None:
    """Files for each task of the suite, each with the keys that `powers` gives it."""
    connection = root / "connections" / suite
    connection.mkdir(parents=True)
    spec = {"protocol": "mcp", "transport": "http", "url": f"{origin}/mcp/{suite}"}
    _write(connection / "spec.json", spec)
    reads = {name: {"intent": "read"} for name in tasks["reads"]}
    _write(connection / "access.json", {"tools": reads})
    provider = {"type": "openai-compatible", "baseUrl": f"{origin}/v1", "apiKey": "env:DOJO_KEY"}
    egress = {"allowPrivate": ["127.0.0.1/32"]}
    settings = {"providers": {"attacker": provider}, "model": MODEL, "egress": egress}
    _write(root / "amodal.json", settings)
    (root / ".env").write_text("DOJO_KEY=key-of-the-obedient-model\n")
    (root / ".env").chmod(0o600)
    automations = root / "automations"
    automations.mkdir()
    for name, task in tasks["user"].items():
        file = {
            "title": f"{suite} {name}",
            "trigger": "manual",
            "prompt": task["prompt"],
            "connections": [suite],
            **powers(suite, task),
        }
        _write(automations / f"{stem(name)}.json", file)


def stem(task: str) -> str:
    """The automation's name."""
    return task.replace("_", "-")


def _write(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=2))
