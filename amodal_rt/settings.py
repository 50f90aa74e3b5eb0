"""The process's environment: the only module that reads `os.environ`."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from amodal_rt.errors import UnavailableError

STATE_FOLDER = ".amodal-rt"
NETWORK_DISK = "AMODAL_RT_NETWORK_DISK"


class Environment(NamedTuple):
    """Variables as the definitions see them: the real environment over the `.env` file.

    `NAME` falls back to the content of the file that `NAME_FILE` names (trailing line
    break dropped), as container secrets are mounted. An empty value counts as unset.
    """

    process: Mapping[str, str] = MappingProxyType({})
    dotenv: Mapping[str, str] = MappingProxyType({})

    def find(self, name: str) -> str | None:
        """The value, or None when unset, empty or unreadable."""
        value = self._direct(name)
        if value:
            return value
        path = self._direct(f"{name}_FILE")
        if not path:
            return None
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n") or None
        except (OSError, UnicodeDecodeError):
            return None

    def get(self, name: str) -> str:
        """The value. Raises UnavailableError (`env_missing`) naming the variable."""
        value = self.find(name)
        if value is None:
            raise UnavailableError(
                f"the environment variable {name} is not set",
                code="env_missing",
                hint=f"set {name} in the environment or in .env",
            )
        return value

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that have no value, in order."""
        return tuple(name for name in names if self.find(name) is None)

    def _direct(self, name: str) -> str | None:
        return self.process.get(name) or self.dotenv.get(name)


def process_environment() -> dict[str, str]:
    """A copy of this process's variables."""
    return dict(os.environ)


class ProcessSettings(NamedTuple):
    """What `AMODAL_RT_…` variables say; None where unset. Flags of a command win over them."""

    workspace: Path | None
    state_dir: Path | None
    listen: str | None
    log_format: str | None
    webhook_key: str | None
    url: str | None
    token: str | None
    cause: str | None = None
    watchdog_seconds: float | None = None


def load_process_settings() -> ProcessSettings:
    """Read the variables now."""
    env = os.environ.get
    workspace, state_dir = env("AMODAL_RT_WORKSPACE"), env("AMODAL_RT_STATE_DIR")
    return ProcessSettings(
        workspace=Path(workspace) if workspace else None,
        state_dir=Path(state_dir) if state_dir else None,
        listen=env("AMODAL_RT_LISTEN") or None,
        log_format=env("AMODAL_RT_LOG") or None,
        webhook_key=env("AMODAL_RT_WEBHOOK_KEY") or None,
        url=env("AMODAL_RT_URL") or None,
        token=env("AMODAL_RT_TOKEN") or None,
        cause=env("AMODAL_RT_CAUSE") or None,
        watchdog_seconds=_seconds(env("AMODAL_RT_WATCHDOG_SECONDS")),
    )


def _seconds(text: str | None) -> float | None:
    """A number of seconds from one up; None for anything else."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 1 <= value < float("inf") else None


def network_disk_allowed() -> bool:
    """Whether this machine's owner takes the risk of a ledger on a network file system."""
    return os.environ.get("AMODAL_RT_NETWORK_DISK") == "allow"


def state_folder(workspace: Path, settings: ProcessSettings) -> Path:
    """Where ledger, socket, lock and logs of `workspace` live."""
    return (settings.state_dir or workspace / STATE_FOLDER).absolute()


def runtime_folder() -> Path | None:
    """A private folder (0700) for what lives as long as this user's daemons, made when missing.

    Under `XDG_RUNTIME_DIR`, else `/run/user/<uid>`, else `/tmp/amodal-rt-<uid>`. None when
    somebody else owns it or may enter it: a socket there would not be ours alone.
    """
    user = os.getuid()
    given = os.environ.get("XDG_RUNTIME_DIR")
    parent = Path(given) if given else Path(f"/run/user/{user}")
    # No other folder will do: one user's daemon and commands must agree without asking.
    folder = parent / "amodal-rt" if parent.is_dir() else Path(f"/tmp/amodal-rt-{user}")  # noqa: S108
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    return folder if private and found.st_uid == user else None
