"""`amodal-rt init`: a workspace to start from."""

import shutil
from pathlib import Path

from amodal_rt.errors import ConflictError, DeniedError, UnavailableError

TEMPLATE = Path(__file__).parent / "example"
"""The example workspace. In the source tree a link to `automations.example/`."""


def copy_template(target: Path) -> None:
    """Fill `target`, a new or empty folder, with the example workspace.

    Hidden files in it are left alone and count for nothing: a fresh clone is empty in this
    sense. Raises ConflictError (`not_empty`), or DeniedError or UnavailableError where the
    folder cannot be written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(not each.name.startswith(".") for each in target.iterdir()):
            raise ConflictError(
                f"{target} is not empty", code="not_empty", hint="name a new or empty folder"
            )
        # Contents and modes as a new file has them, not the read-only ones of an installation.
        shutil.copytree(
            TEMPLATE, target, dirs_exist_ok=True, copy_function=shutil.copyfile,
            ignore=shutil.ignore_patterns("__pycache__", ".amodal-rt", ".env"),
        )  # fmt: skip
    except PermissionError as error:
        raise DeniedError(f"{target} cannot be written", code="read_only") from error
    except OSError as error:
        reason = (error.strerror or "unknown").lower()
        raise UnavailableError(
            f"{target} cannot be filled: {reason}", code="not_written"
        ) from error
