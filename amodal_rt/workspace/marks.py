"""What tells that a folder or a file was replaced, where nothing of a workspace's own says so."""

import stat
from contextlib import suppress
from pathlib import Path

from amodal_rt.settings import Environment


def nearest_folder(path: Path) -> dict[str, tuple[int, int]]:
    """The folder in which `path`, or the first missing part of it, would appear."""
    for folder in path.parents:
        # Whatever a file names as its prompt: too long, not encodable, not ours to enter.
        with suppress(OSError, ValueError):
            status = folder.stat()
            if stat.S_ISDIR(status.st_mode):
                return {str(folder): (status.st_dev, status.st_ino)}
    return {}


def secret_files(environment: Environment) -> tuple[tuple[str, int, int], ...]:
    """Each file that a `NAME_FILE` names, with what tells that it was changed."""
    found: list[tuple[str, int, int]] = []
    for name, path in (*environment.process.items(), *environment.dotenv.items()):
        if name.endswith("_FILE"):
            try:
                status = Path(path).stat()
            except (OSError, ValueError):
                continue
            found.append((name, status.st_mtime_ns, status.st_ino))
    return tuple(found)
