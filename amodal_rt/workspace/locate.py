"""Which folder is the workspace."""

from pathlib import Path

from amodal_rt.errors import NotFoundError
from amodal_rt.settings import ProcessSettings

MARKS = ("automations", "amodal.json")
"""What makes a folder a workspace."""


def find_workspace(flag: Path | None, settings: ProcessSettings, cwd: Path) -> Path:
    """The folder that `flag`, else `AMODAL_RT_WORKSPACE` names, else the nearest parent of
    `cwd` with `automations/` or `amodal.json`; absolute.

    Raises NotFoundError (`no_workspace`) that says where it looked.
    """
    for path, source in ((flag, "--workspace"), (settings.workspace, "AMODAL_RT_WORKSPACE")):
        if path is not None:
            return _named(cwd / path.expanduser(), source)
    folders = (cwd.absolute(), *cwd.absolute().parents)
    for folder in folders:
        if any((folder / mark).exists() for mark in MARKS):
            return folder
    raise NotFoundError(
        f"no workspace: neither {cwd.absolute()} nor a parent holds automations/ or amodal.json",
        code="no_workspace",
        hint="name one with --workspace, or make one with amodal-rt init",
    )


def _named(path: Path, source: str) -> Path:
    if not path.is_dir():
        raise NotFoundError(
            f"no workspace: {path} ({source}) is not a folder",
            code="no_workspace",
            hint="make one with amodal-rt init",
        )
    return path.absolute()
