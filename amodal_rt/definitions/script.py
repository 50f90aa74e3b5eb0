"""One file of `scripts/` → a script, and whether its words are Python at all."""

import ast
import warnings
from pathlib import PurePosixPath

from amodal_rt.definitions.words import shown
from amodal_rt.domain.automation import STEM
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workflow import Script

LONGEST = 100_000
"""Characters."""

_HINT = "the sandbox runs a part of Python: see docs/reference/scripts.md"


def parse_script(text: bytes, *, file: str) -> tuple[Script | None, tuple[Problem, ...]]:
    """The script, or None with an error; nothing in it is run."""
    name = PurePosixPath(file).stem
    if not STEM.fullmatch(name):
        message = f"{shown(name)} cannot name a script"
        hint = "rename it: lower-case letters, digits, - and _; 64 characters at most"
        return None, (Problem(file=file, code="bad_name", message=message, hint=hint),)
    source = text.decode("utf-8-sig")
    if len(source) > LONGEST:
        message = f"longer than {LONGEST} characters, so it is not read"
        return None, (Problem(file=file, code="too_large", message=message),)
    fault = script_fault(source)
    if fault is not None:
        line, column, said = fault
        message = f"not Python: {said}"
        return None, (
            Problem(
                file=file, code="bad_script", message=message, line=line, column=column, hint=_HINT
            ),
        )
    return Script(name=name, source=source, file=file), ()


def script_fault(source: str) -> tuple[int, int | None, str] | None:
    """Line and column within the source, and what cannot be read there; None where it reads."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as error:
        return error.lineno or 1, error.offset, error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        return 1, None, "nested too deeply" if not isinstance(error, ValueError) else str(error)
    return None
