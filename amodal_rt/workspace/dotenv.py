"""The `.env` file."""

import io
import stat

from dotenv.parser import parse_stream

from amodal_rt.domain.problem import Problem


def parse_dotenv(text: bytes, *, file: str) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """The variables, and the lines that could not be understood; those harm no other line.

    Values stand for themselves: `$` expands to nothing else, for secrets contain it.
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for binding in parse_stream(io.StringIO(text.decode("utf-8-sig"))):
        if binding.error:
            problems.append(
                Problem(
                    file=file,
                    code="bad_dotenv",
                    message="this line is no NAME=value",
                    line=binding.original.line,
                    severity="warning",
                )
            )
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values, tuple(problems)


def readable_problem(mode: int, *, file: str) -> Problem | None:
    """A warning for a file with secrets that others than its owner may read."""
    if not mode & (stat.S_IRGRP | stat.S_IROTH):
        return None
    return Problem(
        file=file,
        code="readable_by_others",
        message=f"others on this machine may read the secrets in {file}",
        severity="warning",
        hint=f"chmod 600 {file}",
    )
