"""A failpoint stands before and after every commit, external effect and rename."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tree

# What they do is asked for by a person who waits for it, or dies with the test.
OUTSIDE = ("api/", "cli/", "client.py", "failpoints.py", "testing/", "storage/migrations/")
CARRIES = {"data", "headers", "json"}
STARTS = {"create_subprocess_exec", "create_subprocess_shell", "Popen"}
MOVES = {"rename", "link", "symlink_to"}
ELSEWHERE = {
    "daemon/sdnotify.py:_send": "says how it is, to nobody who acts on it twice",
    "daemon/trying.py:_copy_workspace": "into a folder that dies with the command",
    "delivery/request.py:post": "delivery/attempts.py:make",
    "executors/acting/request_tool.py:_exchange": "executors/acting/gate.py:write and read",
    "storage/sqlite_file.py:commit": "storage/writer.py:_commit",
}
"""Functions whose failpoints stand around their caller, or why they need none."""


@dataclass(frozen=True)
class Effect:
    """A call that the world outside sees, or that makes something last."""

    place: str
    line: int
    what: str


def _effect(call: ast.Call) -> str | None:
    """What a call does to the world, by its look; None for all that it leaves alone."""
    if not isinstance(call.func, ast.Attribute):
        return None
    name = call.func.attr
    first = call.args[0] if call.args else None
    words = first.value if isinstance(first, ast.Constant) else None
    if name in {"execute", "exec_driver_sql"} and isinstance(words, str):
        return "commit" if words.upper().startswith("COMMIT") else None
    if name == "commit":
        return "commit"
    # `replace` of a path takes one thing, of a text two, of a date none but by name.
    if name in MOVES or (name == "replace" and (len(call.args) == 1 or _is_os(call.func))):
        return "rename"
    if name in STARTS:
        return "start"
    if name == "sendto":
        return "send"
    if name == "request" and (call.keywords or len(call.args) > 1):
        return "send"
    return "send" if name == "post" and CARRIES & {each.arg for each in call.keywords} else None


def _is_os(function: ast.Attribute) -> bool:
    return isinstance(function.value, ast.Name) and function.value.id == "os"


def _calls(function: ast.AST) -> Iterator[ast.Call]:
    """The calls of a function, those of functions inside it left out."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting += ast.iter_child_nodes(node)


def _hits(function: ast.AST) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for call in _calls(function):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else None
        name = call.func.id if isinstance(call.func, ast.Name) else name
        if name == "hit" and call.args:
            # A name that is put together at run time still says before or after.
            found.append((call.lineno, ast.unparse(call.args[0])))
    return found


def _effects(module: ast.Module, file: str) -> Iterator[tuple[Effect, bool]]:
    """Every effect of a file, and whether failpoints stand on both sides of it."""
    for function in tree.functions(module):
        hits = _hits(function)
        for call in _calls(function):
            what = _effect(call)
            if what is None:
                continue
            end = call.end_lineno or call.lineno
            before = any(line <= call.lineno and ".before_" in name for line, name in hits)
            after = any(line >= end and ".after_" in name for line, name in hits)
            yield Effect(f"{file}:{function.name}", call.lineno, what), before and after


def _sources() -> Iterator[tuple[str, Path]]:
    for path in tree.sources():
        file = path.relative_to(tree.PACKAGE).as_posix()
        if not file.startswith(OUTSIDE):
            yield file, path


def test_every_effect_has_a_failpoint_on_either_side() -> None:
    bare = [
        f"{effect.place} line {effect.line}: {effect.what}"
        for file, path in _sources()
        for effect, guarded in _effects(tree.parse(path), file)
        if not guarded and effect.place not in ELSEWHERE
    ]

    assert bare == []


def test_what_is_guarded_elsewhere_is_there() -> None:
    """An exception for a function that is gone would hide the next of its name."""
    effects = {
        effect.place for file, path in _sources() for effect, _ in _effects(tree.parse(path), file)
    }

    assert ELSEWHERE.keys() <= effects


def test_every_failpoint_has_its_twin_and_one_way_to_be_named() -> None:
    names = {
        name.strip("'")
        for _, path in _sources()
        for function in tree.functions(tree.parse(path))
        for _, name in _hits(function)
        if name.startswith("'")
    }
    befores = {name.replace(".before_", ".") for name in names if ".before_" in name}
    afters = {name.replace(".after_", ".") for name in names if ".after_" in name}

    assert befores == afters
    assert len(befores) * 2 == len(names)
    assert len(befores) >= 10


def test_an_effect_without_failpoints_is_found() -> None:
    """Guards the first test: a search that finds nothing would pass for ever."""
    text = """
def bare(raw, path):
    raw.execute("COMMIT")
    path.replace(other)

def guarded(raw):
    hit("ledger.before_commit")
    raw.execute("COMMIT")
    hit("ledger.after_commit")

def harmless(raw, text, when):
    raw.execute("SELECT 1")
    return text.replace("a", "b"), when.replace(microsecond=0)
"""
    found = [(each.place, each.what, good) for each, good in _effects(ast.parse(text), "x.py")]

    assert sorted(found) == [
        ("x.py:bare", "commit", False),
        ("x.py:bare", "rename", False),
        ("x.py:guarded", "commit", True),
    ]
