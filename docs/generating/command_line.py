"""command-line.md: the tree of commands with every argument and option."""

from collections.abc import Iterator
from typing import Any

import typer

from amodal_rt.cli.app import build
from generating import markdown
from generating.markdown import code, table

_HEAD = """
`ops …` is short for `amodal-rt ops …`. Every command has `--help`.

Tables are for people; `--json` prints one document on stdout and nothing else there
([JSON output](json-output.md)). Remarks and errors go to stderr.

| exit code | meaning |
|---|---|
| 0 | it worked; of `trigger`: the run completed |
| 1 | it failed; of `trigger`: the run failed or was cancelled |
| 2 | the command line was wrong |
| 3 | a definition is invalid |
| 4 | nothing has that name; no workspace was found |
| 5 | the daemon cannot be reached |
| 6 | a person is asked: of `trigger`, the run waits for an answer (`ops approvals`) |
| 130 | interrupted from the keyboard |

Every `ops` command takes two options that are not repeated below:

| option | meaning |
|---|---|
| `--json` | one JSON document on stdout |
| `--workspace DIR` | the workspace whose daemon is meant |

Which daemon: that of `--workspace`, else of `AMODAL_RT_WORKSPACE`, else of the nearest parent of
the current folder that holds `automations/` or `amodal.json`, else the only one of this user that
is running.
"""


_SHARED = frozenset({"as_json", "workspace"})


def page() -> str:
    """The page."""
    root = typer.main.get_command(build())
    parts = [
        _command(path, command)
        for path, command in leaves(root, ())
        if not getattr(command, "hidden", False)
    ]
    completion = (
        "## Shell completion\n\n"
        "`amodal-rt --install-completion` and `ops --install-completion` teach the current shell "
        "to complete commands, options and the names of automations; `--show-completion` prints "
        "what they would install."
    )
    return markdown.page("Command line", _HEAD, *parts, completion)


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that lead to it."""
    inner = getattr(command, "commands", None)
    if inner is None or getattr(command, "invoke_without_command", False):
        yield path, command
    for name, each in sorted((inner or {}).items(), key=lambda pair: pair[0] == "ops"):
        yield from leaves(each, (*path, name))


def _command(path: tuple[str, ...], command: Any) -> str:
    words = " ".join(path) if path[0] == "ops" else " ".join(("amodal-rt", *path))
    if path[0] == "ops" and not {each.name for each in command.params} >= _SHARED:
        raise KeyError(f"{words} lacks one of {', '.join(_SHARED)}, which the page promises")
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    usage = " ".join([words, *(_usage(each) for each in arguments)])
    parts = [f"## {words}", (command.help or "").strip()]
    parts.append(f"```\n{usage}{' [OPTIONS]' if _options(command) else ''}\n```")
    rows = [[code(_metavar(each)), _help(each)] for each in arguments if each.help]
    rows += [
        [code(_spelled(each)), _help(each)]
        for each in _options(command)
        if path[0] != "ops" or each.name not in _SHARED
    ]
    if rows:
        parts.append(table(("argument or option", "meaning"), rows))
    return "\n\n".join(parts)


def _options(command: Any) -> list[Any]:
    return [
        each
        for each in command.params
        if each.param_type_name == "option" and each.name != "help" and not each.hidden
    ]


def _usage(argument: Any) -> str:
    return _metavar(argument) if argument.required else f"[{_metavar(argument)}]"


def _metavar(argument: Any) -> str:
    return (argument.metavar or argument.name).upper()


def _spelled(option: Any) -> str:
    names = ", ".join(sorted([*option.opts, *option.secondary_opts], key=len))
    if option.is_flag:
        return names
    return f"{names} {(option.metavar or option.name).upper()}"


def _help(parameter: Any) -> str:
    text = (parameter.help or "").strip()
    default = parameter.default
    if default in (None, False, ()) or callable(default) or getattr(parameter, "is_flag", False):
        return text
    return f"{text} Default: {code(str(default))}."
