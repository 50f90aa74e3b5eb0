"""RELIABILITY.json: when, of which commit, on what kind of machine, and what was counted."""

import json
import os
import platform
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import figures

ROOT = Path(__file__).resolve().parents[2]


def write_result(
    file: Path,
    parts: Sequence[Mapping[str, Any]],
    outcomes: Mapping[str, int],
    *,
    scale: str,
    seed: int,
) -> Mapping[str, Any]:
    """Write the document of a run, whole or not at all, and return it."""
    document = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "scale": scale,
        "seed": seed,
        "machine": machine(),
        "tests": dict(outcomes),
        "figures": figures.totals(parts),
        "layers": figures.by_layer(parts),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.tmp")
    temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    temporary.replace(file)
    return document


def machine() -> dict[str, object]:
    """What the figures depend on; no name of a machine, a user or a place."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(pages / 2**30),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": _postgresql(),
    }


def _commit() -> str:
    """The commit, and a word when what ran was not exactly it."""
    commit = _said("git", "rev-parse", "--short=12", "HEAD") or "unknown"
    changes = _said("git", "status", "--porcelain", "--untracked-files=no")
    return f"{commit} with changes" if changes else commit


def _postgresql() -> str | None:
    """The version of the server's programs, wherever Debian keeps them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    program = shutil.which("postgres") or (str(found[-1]) if found else None)
    said = _said(program, "--version") if program else None
    return said.split()[2] if said else None


def _said(*command: str) -> str | None:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
