"""A text that a person changes in an editor of theirs."""

import shlex
import subprocess
import tempfile
from pathlib import Path

from amodal_rt.errors import UnavailableError
from amodal_rt.settings import process_environment


def edited(text: str) -> str:
    """The text as `$VISUAL`, else `$EDITOR`, else `vi` leaves it. Raises UnavailableError
    (`no_editor`) where that does not start or says that it failed."""
    variables = process_environment()
    command = variables.get("VISUAL") or variables.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "call.json"
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        try:
            done = subprocess.run([*shlex.split(command), str(path)], check=False)
        except (OSError, ValueError) as error:
            raise UnavailableError(f"{command} does not start: {error}", code="no_editor") from None
        if done.returncode != 0:
            raise UnavailableError(f"{command} failed, and nothing was approved", code="no_editor")
        return path.read_text(encoding="utf-8")
