"""environment.md: every variable that the program itself reads."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import amodal_rt
from amodal_rt.domain import models
from amodal_rt.domain.workspace import ProviderType
from generating import markdown
from generating.markdown import code, table

_SAID: Mapping[str, str] = {
    "AMODAL_RT_WORKSPACE": "The workspace, where no `--workspace` names one.",
    "AMODAL_RT_STATE_DIR": (
        "Where ledger, socket and lock live; default `.amodal-rt/` in the workspace. Commands need "
        "the same value as the daemon."
    ),
    "AMODAL_RT_LISTEN": "`HOST:PORT` for webhooks; wins over `listen` in `amodal.json`.",
    "AMODAL_RT_LOG": "`text` (default) or `json`: how the daemon writes its log to stderr.",
    "AMODAL_RT_WEBHOOK_KEY": (
        "The key that webhook URLs are made with. Without it one is made and kept in the ledger; "
        "set it where the state folder is not kept, and URLs stay the same."
    ),
    "AMODAL_RT_URL": "Where `ops` reaches a daemon over TCP, as `--url`; default its socket.",
    "AMODAL_RT_TOKEN": "The token that `ops` shows there; see `amodal-rt tokens create`.",
    "AMODAL_RT_NETWORK_DISK": (
        "`allow`: keep the ledger on a network file system all the same, where SQLite's log may "
        "lose what was acknowledged."
    ),
    "AMODAL_RT_WATCHDOG_SECONDS": (
        "After how many seconds of an event loop that stands still the daemon ends itself with "
        "status 70, so that its supervisor starts it again; default 30, at least 1."
    ),
    "AMODAL_RT_CAUSE": (
        "Set by the daemon for the MCP servers that it starts: says how deep in a chain of runs "
        "they are, so that a run which their `ops automations trigger` starts is one deeper."
    ),
}
_PREFIX = "AMODAL_RT_"


def page() -> str:
    """The page."""
    found = sorted(set(read_names()), key=list(_SAID).index)
    if set(found) != set(_SAID):
        raise KeyError(f"not read any more: {', '.join(set(_SAID) - set(found))}")
    keys = [
        (code(type_.value), _or(models.KEYS.get(type_, ())), _or([models.BASE_URLS.get(type_)]))
        for type_ in ProviderType
        if type_ in models.KEYS or type_ in models.BASE_URLS
    ]
    return markdown.page(
        "Environment variables",
        "## Of the program",
        table(("variable", "meaning"), [(code(each), _SAID[each]) for each in found]),
        "## Of model providers\n\nRead where `providers` in `amodal.json` says nothing else.",
        table(("provider", "key", "address"), keys),
        _DEFINITIONS,
        _TESTS,
    )


_DEFINITIONS = """
## Of definitions

`env:NAME` as the whole value of a URL, secret or connection setting is replaced by the variable
when it is used. The real environment wins over the workspace's `.env`, which is read again when it
changes. An empty value counts as unset. Where `NAME` is unset, `NAME_FILE` may name a file that
holds the value, as container secrets are mounted.

## Of the system

`XDG_RUNTIME_DIR` (else `/run/user/<uid>`, else `/tmp/amodal-rt-<uid>`) is where daemons of one
user are found. `NOTIFY_SOCKET` is systemd's: the daemon says there when it is ready.
"""

_TESTS = """
## For tests alone

`AMODAL_RT_FAILPOINTS` breaks the program at named places, for example
`ledger.before_commit:3=kill`, and `AMODAL_RT_FAILPOINTS_LOG` names a file in which every place that
was passed is written down; `amodal_rt/failpoints.py` says how. Never set them in earnest.
"""


def read_names() -> Iterator[str]:
    """The names that `settings.py` reads, from its text."""
    source = (Path(amodal_rt.__file__).parent / "settings.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
            if name.startswith(_PREFIX) and name != _PREFIX and name.isupper():
                yield name


def _or(names: Iterable[str | None]) -> str:
    return " or ".join(code(each) for each in names if each) or "none"
