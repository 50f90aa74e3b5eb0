"""A row of the audit trail is written with the change that it tells of, not after it."""

import ast

import tree

ALONE = {
    "amodal_rt/executors/acting/mcp_pins.py": "what a server changed, and nothing of ours",
    "amodal_rt/operations/changes.py": "a file that had to be changed no more",
    "amodal_rt/operations/managing.py": "a change that was refused",
    "amodal_rt/operations/sessions.py": "sessions, which only memory holds",
    "amodal_rt/storage/restore.py": "a restore, in the copy that is not the ledger yet",
}
"""Where a row may stand for itself, and what it tells of."""


def test_rows_that_stand_for_themselves_tell_of_no_change_of_the_ledger() -> None:
    found = {
        tree.name(path)
        for path in tree.sources()
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "audit"
    }

    assert found == ALONE.keys()
