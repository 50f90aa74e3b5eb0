"""errors.md: every error code with its kind, message and hint, read from the source."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import amodal_rt
from amodal_rt import errors
from generating import markdown
from generating.markdown import code, table

SOURCE = Path(amodal_rt.__file__).parent

_CODE = re.compile(r"[a-z]+[0-9]?(_[a-z0-9]+)*")
_PROBLEMS = frozenset(
    {
        "complain",
        "_complain",
        "complaint",
        "problem",
        "_problem",
        "node_problem",
        "refusal",
        "refuse",
        "_refuse",
        "Problem",
        "Refusal",
        "Turned",
    }
)
"""What reports a problem of a file or a refused request, with a code among its arguments."""

_ELSEWHERE = {
    "bad_account": "what is wrong with a provider account",
    "bad_event": "which attribute of which event is wrong",
    "bad_request": "what HTTP itself refuses",
    "model_key_missing": "the model's key is not set",
    "not_read": "a file or folder that the workspace has no place for, with the reason",
}
"""Messages that are made somewhere else than where their code stands."""

_STATUS = {
    "invalid": ("422", "3"),
    "not_found": ("404", "4"),
    "conflict": ("409", "1"),
    "denied": ("403", "1"),
    "unavailable": ("503", "1; 5 when the daemon does not answer"),
    "timed_out": ("504", "1"),
    "internal": ("500", "1"),
}

_HEAD = """
An error has a `kind` (one of seven), a stable `code` for programs, a `message` of one line and,
where a person can act, a `hint`. The command line prints message and hint on stderr; with
`--json`, stdout carries `{"error": {"code", "kind", "message", "hint"}}`. A problem of a file has
file, line, column and severity besides. In the tables `…` stands for what is filled in.
"""


@dataclass(frozen=True, order=True)
class Said:
    """One place of the program that uses a code."""

    code: str
    kind: str
    message: str
    hint: str


def page() -> str:
    """The page."""
    found = sorted(_telling(set(collect())))
    raised = [each for each in found if each.kind != "file"]
    of_files = [each for each in found if each.kind == "file"]
    return markdown.page(
        "Errors",
        _HEAD,
        "## Kinds",
        table(
            ("kind", "meaning", "HTTP", "exit code"),
            [(code(each), _meaning(each), *_STATUS[each]) for each in _STATUS],
        ),
        "## Errors by code",
        table(
            ("code", "kind", "message", "what to do"),
            [(code(s.code), s.kind.replace("_", " "), s.message, s.hint) for s in raised],
        ),
        "## Problems of files, and refused requests",
        "What `validate`, `show` and the log say of files, and what a webhook is refused with.",
        table(
            ("code", "message", "what to do"), [(code(s.code), s.message, s.hint) for s in of_files]
        ),
    )


def _meaning(kind: str) -> str:
    classes = {each.kind: each for each in _classes()}
    return (classes[kind].__doc__ or "").strip().splitlines()[0]


def _telling(found: set[Said]) -> Iterator[Said]:
    """Every use that says something, and every code at least once."""
    spoken = {(each.code, each.kind) for each in found if each.message}
    for each in found:
        if each.message:
            yield each
        elif (each.code, each.kind) not in spoken:
            yield replace(each, message=_ELSEWHERE[each.code])


def collect() -> Iterator[Said]:
    """Every use of a code in the package."""
    kinds, trees = _kinds(), list(_trees())
    words = _words(trees)
    for tree in trees:
        for function, node in _walk(tree):
            if isinstance(node, ast.Call):
                for said in _call(node, kinds, function):
                    yield from _spelled_out(said, words.get(getattr(function, "name", ""), ()))
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                yield from _positional(node.value.elts, [], "file", function)


def _trees() -> Iterator[ast.Module]:
    for path in sorted(SOURCE.rglob("*.py")):
        if path.name not in {"errors.py", "failpoints.py"} and "testing" not in path.parts:
            yield ast.parse(path.read_text(encoding="utf-8"))


def _words(trees: Iterable[ast.Module]) -> dict[str, list[str]]:
    """Function → the constant words that it is called with, first or as `what`."""
    found: dict[str, list[str]] = {}
    for node in (each for tree in trees for each in ast.walk(tree)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            given = [*node.args[:1], *(each.value for each in node.keywords if each.arg == "what")]
            texts = [each.value for each in given if isinstance(each, ast.Constant)]
            found.setdefault(name, []).extend(each for each in texts if isinstance(each, str))
    return found


def _spelled_out(said: Said, words: Iterable[str]) -> Iterator[Said]:
    """A code that is made of a word, once for each word that it is made of."""
    if "…" not in said.code:
        yield said
        return
    for word in dict.fromkeys(words):
        message = said.message.replace("…", word, 1)
        yield replace(said, code=said.code.replace("…", word), message=message)


def _kinds() -> dict[str, str]:
    """The kind of each class of error, and of the classes made of them."""
    found = {each.__name__: each.kind for each in (errors.AmodalError, *_classes())}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                for base in node.bases:
                    if isinstance(base, ast.Name) and base.id in found:
                        found.setdefault(node.name, found[base.id])
    return found


def _classes() -> list[type[errors.AmodalError]]:
    """One class a kind: other rooms make further ones of them."""
    own = errors.AmodalError.__subclasses__()
    return [each for each in own if each.__module__ == errors.__name__]


def _walk(tree: ast.AST, function: ast.AST | None = None) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Each node with the function that it stands in."""
    for node in ast.iter_child_nodes(tree):
        inside = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield inside or tree, node
        yield from _walk(node, inside)


def _call(node: ast.Call, kinds: dict[str, str], function: ast.AST) -> Iterator[Said]:
    name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
    keywords = {each.arg: each.value for each in node.keywords}
    if name in kinds and "code" in keywords:
        used = _text(keywords["code"], function)
        if used and _CODE.fullmatch(used.replace("…", "x")):
            message = node.args[0] if node.args else keywords.get("message")
            kind = _text(keywords.get("kind"), function) or kinds[name]
            yield Said(used, kind, _say(message, function), _say(keywords.get("hint"), function))
    elif name in _PROBLEMS:
        if "code" in keywords:
            used = _text(keywords["code"], function)
            message = keywords.get("message") or next(iter(node.args), None)
            if used and _CODE.fullmatch(used):
                yield Said(
                    used, "file", _say(message, function), _say(keywords.get("hint"), function)
                )
        else:
            hints = [keywords["hint"]] if "hint" in keywords else []
            yield from _positional(node.args, hints, "file", function)


def _positional(
    arguments: list[ast.expr], hints: list[ast.expr], kind: str, function: ast.AST
) -> Iterator[Said]:
    """A code, its message right after it, and perhaps a hint."""
    for place, each in enumerate(arguments[:-1]):
        used = each.value if isinstance(each, ast.Constant) else None
        if not isinstance(used, str) or not _CODE.fullmatch(used):
            continue
        message = _say(arguments[place + 1], function)
        if not message:
            continue
        rest = [
            one for one in arguments[place + 2 :] if isinstance(one, ast.Constant | ast.JoinedStr)
        ]
        hint = next((text for one in [*hints, *rest[-1:]] if (text := _say(one, function))), "")
        yield Said(used, kind, message, hint)
        return


def _say(node: ast.expr | None, function: ast.AST) -> str:
    return _text(node, function) or ""


def _text(node: ast.expr | None, function: ast.AST) -> str | None:
    """The text of an expression with `…` for what is only known when it happens."""
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(_text(each, function) or "…" for each in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (_text(left, function) or "…") + (_text(right, function) or "…")
        case ast.IfExp(body=body, orelse=other):
            choices = [_text(each, function) for each in (body, other)]
            return " / ".join(each for each in choices if each) or None
        case ast.Name():
            return _assigned(node, function)
        case _:
            return None


def _assigned(used: ast.Name, function: ast.AST) -> str | None:
    """The text that a name of the same function was given last before it is used."""
    found = [
        (each.lineno, text)
        for each in ast.walk(function)
        if isinstance(each, ast.Assign) and each.lineno < used.lineno
        for name, value in _pairs(each)
        if name == used.id and not isinstance(value, ast.Name)
        if (text := _text(value, function))
    ]
    return max(found)[1] if found else None


def _pairs(node: ast.Assign) -> Iterator[tuple[str, ast.expr]]:
    """The names that an assignment gives values to, `a, b = 1, 2` included."""
    for target in node.targets:
        if isinstance(target, ast.Name):
            yield target.id, node.value
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for name, value in zip(target.elts, node.value.elts, strict=False):
                if isinstance(name, ast.Name):
                    yield name.id, value
