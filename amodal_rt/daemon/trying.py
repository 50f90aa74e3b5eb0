"""One graph run by hand, in a copy of its workspace that is gone afterwards."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from amodal_rt.daemon.house import House
from amodal_rt.daemon.serving import Daemon, Plan
from amodal_rt.daemon.stopping import Stopping
from amodal_rt.domain.automation import STEM
from amodal_rt.domain.delivery import DeliveryRecord, DeliveryStatus
from amodal_rt.logs import unheard
from amodal_rt.settings import load_process_settings
from amodal_rt.workspace.reading import AUTOMATIONS, CONNECTIONS, DOTENV, SETTINGS

SENT_SECONDS = 10.0
"""How long what the run owes may take to be sent: what is left then is lost with the copy."""

_FOLDER = "workflows"
_COPIED = ("agents", CONNECTIONS, "events", "knowledge", "scripts", "stores", _FOLDER)
_KEPT = ("name", "model", "models", "providers", "targets", "limits", "egress")
"""Keys of `amodal.json` that count for one run. A `database`, alerts and addresses do not: the copy
must neither join the nodes that serve the workspace, nor speak for it."""
_PAUSE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried, and what it may: nothing but reading, unless `writes`; `env` names the
    variables that its templates and scripts see."""

    file: Path
    writes: bool = False
    env: Sequence[str] = ()


def try_graph(trial: Trial, ask: Callable[[Path, str], int]) -> int:
    """Serve a copy of the workspace around the file whose one automation runs the graph, and
    return what `ask` gives, which is told the state folder and the automation's name.

    Stores are empty, the ledger is new, and both are gone afterwards; what a node sends is sent.
    Raises as `Daemon.serving`.
    """
    unheard()
    with tempfile.TemporaryDirectory(prefix="amodal-rt-") as folder:
        name = _lay_out(trial, Path(folder))
        return asyncio.run(_served(Path(folder), name, ask))


async def _served(root: Path, name: str, ask: Callable[[Path, str], int]) -> int:
    settings = load_process_settings()._replace(state_dir=None, webhook_key=None)
    plan = Plan(root=root, settings=settings, listen="")
    daemon = Daemon(plan, Stopping(bound=False))
    async with daemon.serving() as house:
        code = await asyncio.to_thread(ask, daemon.state, name)
        await _sent(house, plan)
    return code


async def _sent(house: House, plan: Plan) -> None:
    """Until each message was tried once."""
    left = SENT_SECONDS
    while left > 0 and any(map(_untried, await house.ground.ledger.list_messages(limit=100))):
        await plan.clock.sleep(_PAUSE)
        left -= _PAUSE


def _untried(record: DeliveryRecord) -> bool:
    first = record.status is DeliveryStatus.PENDING and not record.attempts
    return first or record.status is DeliveryStatus.SENDING


def _lay_out(trial: Trial, copy: Path) -> str:
    """The workspace that is served; the name of its automation."""
    file = trial.file.resolve()
    name = file.stem if STEM.fullmatch(file.stem) else "graph"
    if file.parent.name == _FOLDER:
        _copy_workspace(file.parent.parent, copy)
    for folder in (AUTOMATIONS, _FOLDER):
        (copy / folder).mkdir(exist_ok=True)
    shutil.copyfile(file, copy / _FOLDER / f"{name}.json")
    keys = {
        "title": name,
        "trigger": "manual",
        "workflow": name,
        "writeEnabled": trial.writes,
        "env": list(trial.env),
    }
    (copy / AUTOMATIONS / f"{name}.json").write_text(json.dumps(keys), encoding="utf-8")
    return name


def _copy_workspace(root: Path, copy: Path) -> None:
    for folder in _COPIED:
        if (root / folder).is_dir():
            # Links stay links: what leads out of the workspace is read by nobody.
            shutil.copytree(root / folder, copy / folder, symlinks=True)
    known = (*_COPIED, AUTOMATIONS, SETTINGS, DOTENV)
    for entry in os.scandir(root):
        # Programs that connections start, and what those read, stand anywhere beside.
        if entry.name not in known and not entry.name.startswith("."):
            (copy / entry.name).symlink_to(entry.path)
    if (root / DOTENV).is_file():
        shutil.copy(root / DOTENV, copy / DOTENV)
    if (root / SETTINGS).is_file():
        text = (root / SETTINGS).read_text(encoding="utf-8", errors="replace")
        (copy / SETTINGS).write_text(_kept(text), encoding="utf-8")


def _kept(text: str) -> str:
    """The settings that count here; what is none is left as it is, for the daemon to say so."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(found, dict):
        return text
    keys = cast("dict[str, object]", found)
    return json.dumps({key: keys[key] for key in _KEPT if key in keys})
