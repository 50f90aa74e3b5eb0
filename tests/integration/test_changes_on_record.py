"""A changed file and its row in the audit trail, when the daemon is killed between the two."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, write

from amodal_rt.errors import UnavailableError

ME = "ada"


def _audited(child: Child) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(child.state / "ledger.sqlite")) as ledger:
        rows = ledger.execute(
            "SELECT action, subject, actor, door, data FROM audit ORDER BY number"
        )
        return [(*row[:4], json.loads(row[4])) for row in rows.fetchall()]


@pytest.mark.parametrize(
    ("place", "path", "body", "rows"),
    [
        (
            "file.after_rename",
            "/v1/automations",
            {"name": "made", "keys": {"title": "Made", "prompt": "x"}},
            [("automation.created", "made", {"keys": ["prompt", "status", "title"]})],
        ),
        (
            "file.after_rename",
            "/v1/automations/kept/reset",
            {},
            [("automation.reset", "kept", {"status": "draft"})],
        ),
        (
            "file.after_delete",
            "/v1/automations/kept/delete",
            {},
            [("automation.deleted", "kept", {"file": "automations/kept.json"})],
        ),
        (
            "file.after_rename",
            "/v1/identities/link",
            {"member": "ada", "provider": "github", "account": "ada-l"},
            [("identity.linked", "ada", {"account": "github:ada-l"})],
        ),
        (
            "file.before_rename",
            "/v1/automations/kept/update",
            {"keys": {"title": "Other"}},
            [],
        ),
        ("file.before_delete", "/v1/automations/kept/delete", {}, []),
    ],
    ids=["created", "reset", "deleted", "linked", "not updated", "not deleted"],
)
def test_what_was_changed_when_the_daemon_died_is_on_record_once_it_lives_again(
    tmp_path: Path,
    place: str,
    path: str,
    body: Mapping[str, object],
    rows: list[tuple[str, str, dict[str, object]]],
) -> None:
    root = tmp_path / "workspace"
    automation(root, "kept", connections=[])
    write(root, "identities.json", {"members": [{"id": "ada"}]})
    with (
        daemon(root, AMODAL_RT_FAILPOINTS=f"{place}=kill") as first,
        pytest.raises(UnavailableError),
    ):
        first.client.post(path, body)

    for _ in range(2):
        with daemon(root) as second:
            found = _audited(second)
            assert found == [(action, name, ME, "cli", data) for action, name, data in rows]


def test_what_nobody_can_tell_is_said_so(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    file = automation(root, "kept", connections=[])
    armed = {"AMODAL_RT_FAILPOINTS": "file.after_rename=kill"}
    with daemon(root, **armed) as first, pytest.raises(UnavailableError):
        first.client.post("/v1/automations/kept/reset")
    file.write_text(file.read_text().replace("Kept", "Edited by hand"))

    with daemon(root) as second:
        ((action, name, actor, _, data),) = _audited(second)

    assert (action, name, actor) == ("automation.reset", "kept", ME)
    assert data == {"status": "draft", "certain": False}
