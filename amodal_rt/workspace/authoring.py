"""Makes, changes and deletes the files of automations for those who do not edit them."""

import os
from collections.abc import Callable
from pathlib import Path

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.problem import Problem
from amodal_rt.errors import ConflictError, InvalidError, NotFoundError
from amodal_rt.failpoints import hit
from amodal_rt.workspace.reading import AUTOMATIONS, Found, UnreadableError, read
from amodal_rt.workspace.rewrite import (
    Witness,
    create_file,
    find_automation,
    read_whole,
    refused,
    require_unchanged,
    sync_folder,
    unseen,
    write_file,
)

Edit = Callable[[bytes | None, str], bytes]
"""From a file's bytes, None where there is none yet, and its name in the workspace, to its new
bytes."""
Judge = Callable[[str, bytes], tuple[Definition | None, tuple[Problem, ...]]]
"""The version that a file of these bytes would be among the others, or what is wrong with it."""
Allow = Callable[[Definition], None]
"""Raises DeniedError for a version that may not be written."""


def create(
    root: Path,
    name: str,
    edit: Edit,
    judge: Judge,
    allow: Allow,
    witness: Witness = unseen,
    *,
    ending: str = ".json",
) -> None:
    """Write a new `automations/NAME.json`, or `.md`.

    Raises ConflictError (`automation_exists`), InvalidError for what could not run here, what
    `edit` and `allow` raise, DeniedError (`read_only`) or UnavailableError.
    """
    try:
        existing = find_automation(root, name)
    except NotFoundError:
        file = f"{AUTOMATIONS}/{name}{ending}"
    else:
        raise exists(name, existing.file)
    text = edit(None, file)
    allow(_sound(file, text, judge))
    witness(file, None, text)
    create_file(root, file, text)


def change(
    root: Path, name: str, edit: Edit, judge: Judge, allow: Allow, witness: Witness = unseen
) -> None:
    """Write what `edit` makes of the automation's file, if anything.

    Raises as `create`, NotFoundError, and ConflictError (`changed` by somebody meanwhile,
    `duplicate_stem`, `legacy_markdown`).
    """
    found = find_automation(root, name)
    before = _content(found)
    text = edit(before, found.file)
    if text == before:
        return
    allow(_sound(found.file, text, judge))
    witness(found.file, before, text)
    write_file(found, text)


def delete(root: Path, name: str, witness: Witness = unseen) -> str:
    """Take the automation's file away; returns which it was.

    Raises NotFoundError, ConflictError (`changed`, `duplicate_stem`), DeniedError (`read_only`)
    or UnavailableError.
    """
    found = find_automation(root, name)
    # A link is taken away, and not what it leads to.
    path = Path(os.path.realpath(root)) / found.file
    try:
        if not path.is_symlink():
            require_unchanged(found, path)
        witness(found.file, read_whole(path), None)
        hit("file.before_delete")
        path.unlink()
        hit("file.after_delete")
        sync_folder(path.parent)
    except FileNotFoundError:
        raise NotFoundError(f"{found.file} is gone already", code="automation_not_found") from None
    except OSError as error:
        raise refused(found.file, error) from error
    return found.file


def exists(name: str, file: str) -> ConflictError:
    """There is an automation of that name."""
    return ConflictError(
        f"there is an automation {name!r} already: {file}",
        code="automation_exists",
        hint="give another name or lookup_key, or update that one",
    )


def _content(found: Found) -> bytes:
    try:
        return read(found)
    except UnreadableError as error:
        problem = error.problem
        raise InvalidError(problem.sentence(), code=problem.code, hint=problem.hint) from error


def _sound(file: str, text: bytes, judge: Judge) -> Definition:
    definition, problems = judge(file, text)
    wrong = next((each for each in problems if each.severity == "error"), None)
    if wrong is not None or definition is None:
        message = wrong.finding() if wrong else f"{file} could not run"
        code, hint = (wrong.code, wrong.hint) if wrong else ("invalid", None)
        raise InvalidError(message, code=code, hint=hint)
    return definition
