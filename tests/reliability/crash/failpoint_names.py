"""Every failpoint by its name, and who kills at those that the sweep does not pass."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]
_HIT = re.compile(r"""hit\("([a-z_]+\.[a-z_]+)"\)""")
_ARMED = re.compile(r"([a-z_]+\.[a-z_]+)(?::\d+)?(?:=.*)?")

_BACKUP = "integration/test_backup_killed.py::test_a_restore_that_is_killed_has_happened_or_has_not"
_COMMAND = "integration/test_command_daemon.py::test_a_command_that_was_cut_off_by_a_kill"
_COPY = (
    "integration/test_backup_killed.py::test_a_backup_that_is_killed_is_there_whole_or_not_at_all"
)
_DELIVERY = "unit/delivery/delivery_life.py::POINTS"
_EVENTS = "integration/test_event_failpoints.py"
_GATE = f"{_EVENTS}::test_a_gate_is_asked_again_and_opens_once"
_PARKED = "integration/test_parked_writes.py::KILLS"
_PROBE = f"{_EVENTS}::test_a_probe_is_asked_again_and_the_run_completes_once"
_MATCH = f"{_EVENTS}::test_an_event_is_matched_once"
_TRIGGER = f"{_EVENTS}::test_a_trigger_is_registered_at_the_next_start"
_DISPATCH = (
    "integration/test_postgres_crash.py"
    "::test_a_node_that_dies_while_it_installs_the_dispatch_leaves_that_to_the_next"
)
_RECOVERY = (
    "integration/test_daemon_resume.py::test_killed_twice_in_a_row_and_in_recovery_it_goes_on"
)
_DELETION = "unit/workspace/test_authoring.py::test_a_kill_leaves_the_whole_file_or_none"
_UPKEEP = "reliability/crash/test_upkeep.py::POINTS"

ELSEWHERE: Mapping[str, str] = {
    "backup.after_copy": _COPY,
    "backup.after_rename": _COPY,
    "backup.before_copy": _COPY,
    "backup.before_rename": _COPY,
    "bus.after_match": _MATCH,
    "bus.before_match": _MATCH,
    "condition.after_write": _DELIVERY,
    "condition.before_write": _DELIVERY,
    "delivery.after_follow_up": _DELIVERY,
    "delivery.before_follow_up": _DELIVERY,
    "dispatch.after_install": _DISPATCH,
    "dispatch.before_install": _DISPATCH,
    "file.after_delete": _DELETION,
    "file.before_delete": _DELETION,
    "expect.after_probe": _PROBE,
    "expect.before_probe": _PROBE,
    "gate.after_read": _GATE,
    "gate.before_read": _GATE,
    "parked.after_perform": _PARKED,
    "parked.before_perform": _PARKED,
    "recovery.after_return": _RECOVERY,
    "recovery.before_return": _RECOVERY,
    "restore.after_aside": _BACKUP,
    "restore.after_promise": _BACKUP,
    "restore.after_rename": _BACKUP,
    "restore.before_aside": _BACKUP,
    "restore.before_promise": _BACKUP,
    "restore.before_rename": _BACKUP,
    "sandbox.after_start": _COMMAND,
    "sandbox.before_start": _COMMAND,
    "trigger.after_configure": _TRIGGER,
    "trigger.before_configure": _TRIGGER,
    "upgrade.after_commit": _UPKEEP,
    "upgrade.after_copy_rename": _UPKEEP,
    "upgrade.before_commit": _UPKEEP,
    "upgrade.before_copy_rename": _UPKEEP,
    "write.after_park": _PARKED,
    "write.before_park": _PARKED,
}
"""By name: the test that kills there, or the list that one goes through, as `file::name` under
tests."""


def named() -> set[str]:
    """All that the program has."""
    texts = (path.read_text("utf-8") for path in (ROOT / "amodal_rt").rglob("*.py"))
    return {name for text in texts for name in _HIT.findall(text)}


def armed_at(place: str) -> set[str]:
    """The failpoints that the function or the list at `file::name` gives to a process. What a
    comment or a docstring says arms nothing."""
    file, _, name = place.partition("::")
    module = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    found = [node for node in module.body if name in _names(node)]
    texts = (text for node in found for text in _texts(node))
    return {match[1] for text in texts for match in [_ARMED.fullmatch(text)] if match}


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (each.id for each in node.targets if isinstance(each, ast.Name))


def _texts(node: ast.stmt) -> Iterator[str]:
    said = {
        id(each.value) for each in ast.walk(node)
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
    }  # fmt: skip
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in said:
            yield each.value
