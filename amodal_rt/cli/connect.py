"""From a command line to the daemon that it means."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path

from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs.door import Door
from amodal_rt.client import (
    RECORD_FILE,
    Client,
    DaemonRecord,
    TcpClient,
    find_client,
    running_daemons,
)
from amodal_rt.errors import AmodalError, NotFoundError
from amodal_rt.settings import ProcessSettings, load_process_settings, state_folder
from amodal_rt.workspace.locate import find_workspace


def use(verb: Callable[[Door], int], *, as_json: bool = False, workspace: str | None = None) -> int:
    """Run a verb against the daemon of the workspace; errors become words and an exit code."""
    output = Output(as_json=as_json)
    try:
        return verb(Door(connect(workspace), output))
    except AmodalError as error:
        return output.error(error)


def connect(workspace: str | None) -> Client:
    """The daemon of `--workspace`, of `AMODAL_RT_URL` and `AMODAL_RT_TOKEN`, of the environment's
    or this folder's workspace, or the only running one.

    Raises NotFoundError (`no_workspace`), saying where it looked. That nobody answers shows
    at the first call.
    """
    settings = load_process_settings()
    if settings.url and workspace is None:
        return TcpClient(settings.url, token=settings.token, cause=settings.cause)
    flag = Path(workspace) if workspace else None
    try:
        root = find_workspace(flag, settings, Path.cwd())
    except NotFoundError as error:
        state = _only_daemon(error, flag).state_dir
    else:
        state = _state_of(root, settings)
    return find_client(state, actor=user(), cause=settings.cause)


def _state_of(root: Path, settings: ProcessSettings) -> Path:
    """The state folder of the daemon that serves `root`: it may have been given another one.

    One that the caller names is meant, whoever serves the workspace from elsewhere.
    """
    usual = state_folder(root, settings)
    if settings.state_dir or (usual / RECORD_FILE).exists():
        return usual
    serving = (each.state_dir for each in running_daemons() if each.workspace == root.absolute())
    return next(serving, usual)


def find_root(workspace: Path | None) -> Path:
    """The workspace that a command without a daemon means, found as `connect` finds it.

    Raises NotFoundError (`no_workspace`).
    """
    try:
        return find_workspace(workspace, load_process_settings(), Path.cwd())
    except NotFoundError as error:
        return _only_daemon(error, workspace).workspace


def _only_daemon(error: NotFoundError, flag: Path | None) -> DaemonRecord:
    running = running_daemons()
    if flag is None and len(running) == 1:
        return running[0]
    raise _lost(error, [str(each.workspace) for each in running]) from None


def _lost(error: NotFoundError, running: list[str]) -> NotFoundError:
    served = f"running daemons serve {', '.join(running)}" if running else "no daemon is running"
    return NotFoundError(f"{error.message}; {served}", code=error.code, hint=error.hint)


def find_state(workspace: Path | None) -> tuple[Path, Path]:
    """The workspace that a command without a daemon means, and its state folder.

    Raises NotFoundError (`no_workspace`).
    """
    root = find_root(workspace)
    return root, _state_of(root, load_process_settings())


def user() -> str:
    """The login name that the audit trail keeps."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
