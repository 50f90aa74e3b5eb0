"""`amodal-rt doctor`: what would keep a workspace from being served here, or silently from working.

Nothing is changed, and no daemon is needed; one that runs is asked how it is.
"""

import os
import resource
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from amodal_rt.client import Client, DaemonRecord
from amodal_rt.daemon.ledgers import DATABASE_MARK
from amodal_rt.domain.profile import Isolation
from amodal_rt.domain.workspace import MODEL_KEY_MISSING, Snapshot
from amodal_rt.errors import AmodalError, UnavailableError
from amodal_rt.executors.sandbox.machine import sandbox_refusal
from amodal_rt.guardrails.egress import is_loopback_host
from amodal_rt.storage.examining import Examined, examine
from amodal_rt.storage.filesystem import LEDGER_FILE
from amodal_rt.workspace.check import check, read_at
from amodal_rt.workspace.database import database_of

_LITTLE_DISK, _NO_DISK = 1_000_000_000, 100_000_000
_FEW_FILES = 1024
_ENVIRONMENT = frozenset({"env_missing", "env_bad", MODEL_KEY_MISSING})


class Level(StrEnum):
    """How bad it is: WRONG keeps something from working, a WARNING may surprise."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look showed, in words, and what a person may do about it."""

    check: str
    level: Level
    said: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A workspace with its state folder, as a daemon started now would find it. `running` is who
    serves it, `listen` what the process says instead of `amodal.json`."""

    root: Path
    state: Path
    variables: Mapping[str, str]
    snapshot: Snapshot
    listen: str | None = None
    running: DaemonRecord | None = None


def patient_of(
    root: Path,
    state: Path,
    variables: Mapping[str, str],
    *,
    listen: str | None,
    running: DaemonRecord | None,
) -> Patient:
    """Read the files of `root` once."""
    return Patient(
        root=root,
        state=state,
        variables=variables,
        snapshot=read_at(root),
        listen=listen,
        running=running,
    )


def examine_all(patient: Patient) -> Iterator[Finding]:
    """Every finding, one look after another: the first of them are there at once."""
    for look in _LOOKS:
        yield from look(patient)


def _files(patient: Patient) -> Iterator[Finding]:
    problems = check(patient.root, env=True)
    wrong = [each for each in problems if each.severity == "error"]
    broken = [each for each in wrong if each.code not in _ENVIRONMENT]
    unset = [each for each in wrong if each.code in _ENVIRONMENT]
    count = len(patient.snapshot.automations)
    if broken:
        first = broken[0].sentence()
        yield Finding("files", Level.WRONG, f"{len(broken)} errors, the first: {first}", _VALIDATE)
    else:
        yield Finding("files", Level.OK, f"{count} automation{'s'[: count != 1]}, no errors")
    if unset:
        files = ", ".join(dict.fromkeys(each.file for each in unset))
        said = f"{len(unset)} not set that are needed by {files}"
        yield Finding("variables", Level.WARNING, said, _VALIDATE)


_VALIDATE = "amodal-rt validate --env names each with its file and line"


def _state_folder(patient: Patient) -> Iterator[Finding]:
    folder = patient.state
    place = folder if folder.exists() else folder.parent
    if not os.access(place, os.W_OK | os.X_OK):
        hint = "make it writable, or name another with AMODAL_RT_STATE_DIR"
        yield Finding("state", Level.WRONG, f"{folder} cannot be written", hint)
        return
    yield Finding("state", Level.OK, f"{folder}" + ("" if folder.exists() else ", made at start"))
    free = shutil.disk_usage(place).free
    level = Level.OK
    if free < _LITTLE_DISK:
        level = Level.WRONG if free < _NO_DISK else Level.WARNING
    hint = None if level is Level.OK else "on a full disk nothing is accepted and nothing starts"
    yield Finding("disk", level, f"{free / 1e9:.1f} GB free", hint)


def _ledger(patient: Patient) -> Iterator[Finding]:
    try:
        url = database_of(patient.root, patient.variables)
        if url is None and (patient.state / DATABASE_MARK).exists():
            hint = "name it again with `database` in amodal.json"
            yield Finding("ledger", Level.WRONG, "it is in a database that no file names", hint)
            return
        found = examine(patient.state / LEDGER_FILE) if url is None else _server(url)
    except AmodalError as error:
        yield Finding("ledger", Level.WRONG, error.message, error.hint)
        return
    if found is None:
        yield Finding("ledger", Level.OK, "none yet, made at start")
        return
    where = "PostgreSQL" if url else str(patient.state / LEDGER_FILE)
    later = "" if found.old is None else f"; the next start brings {found.old or 'its tables'} up"
    yield Finding("ledger", Level.OK, f"{where}, {found.size / 1e6:.1f} MB, sound{later}")


def _server(url: str) -> Examined:
    try:
        from amodal_rt.storage.examining_postgres import examine_server
    except ImportError as error:
        raise UnavailableError(
            f"`database` needs a driver that is not installed ({error.name})",
            code="postgres_missing",
            hint="pip install 'amodal-rt[postgres]'",
        ) from None
    return examine_server(url)


def _daemon(patient: Patient) -> Iterator[Finding]:
    running = patient.running
    if running is None:
        yield Finding(
            "daemon", Level.WARNING, "none runs: nothing starts by itself", "amodal-rt up"
        )
        yield from _doors(patient)
        return
    try:
        status = Client(running.socket, actor="doctor", timeout=5).get("/v1/status")
    except AmodalError as error:
        yield Finding("daemon", Level.WRONG, f"pid {running.pid}: {error.message}", error.hint)
        return
    degraded = [str(each) for each in status.get("degraded", ())]
    if status.get("ready") and not degraded:
        yield Finding("daemon", Level.OK, f"pid {running.pid} is ready")
    for each in degraded or ([] if status.get("ready") else ["it is not ready"]):
        yield Finding("daemon", Level.WRONG, f"pid {running.pid}: {each}")


def _doors(patient: Patient) -> Iterator[Finding]:
    """Whether a daemon that starts now could listen."""
    settings = patient.snapshot.settings
    for address in filter(None, (patient.listen or settings.listen, settings.admin_listen)):
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, int(port)))
        except OSError as error:
            hint = "stop what has it, or set `listen` in amodal.json"
            said = f"{address}: {(error.strerror or str(error)).lower()}"
            yield Finding("listen", Level.WRONG, said, hint)
        else:
            yield Finding("listen", Level.OK, f"{address} is free")


def _open_doors(patient: Patient) -> Iterator[Finding]:
    """What strangers can start."""
    settings = patient.snapshot.settings
    host = settings.listen.rpartition(":")[0].strip("[]")
    if is_loopback_host(host) and settings.public_url is None:
        return
    unsigned = [
        name
        for name, state in sorted(patient.snapshot.automations.items())
        if state.definition
        and state.definition.automation.webhook
        and state.definition.automation.webhook.auth is None
    ]
    if unsigned:
        said = f"whoever learns its URL may start {', '.join(unsigned)}"
        yield Finding("webhooks", Level.WARNING, said, "give each a `webhookAuth`")


def _alerts(patient: Patient) -> Iterator[Finding]:
    alerts = patient.snapshot.settings.alerts
    if not alerts.targets:
        said = "nobody is told of a broken file, a full queue or a dead letter"
        hint = '"alerts": {"targets": [...]} in amodal.json; docs/how-to/watch-the-workspace.md'
        yield Finding("alerts", Level.WARNING, said, hint)
    if alerts.heartbeat_url is None:
        said = "nobody notices when this machine is gone"
        hint = '"alerts": {"heartbeatUrl": "..."} in amodal.json'
        yield Finding("heartbeat", Level.WARNING, said, hint)


def _sandbox(patient: Patient) -> Iterator[Finding]:
    wanted = [
        each.label for each in patient.snapshot.profiles if each.isolation is Isolation.BUBBLEWRAP
    ]
    if not wanted:
        return
    refusal = sandbox_refusal()
    if refusal is None:
        yield Finding("sandbox", Level.OK, f"programs can be held ({', '.join(wanted)})")
    else:
        hint = "docs/how-to/run-a-command.md says what it needs of the machine"
        yield Finding("sandbox", Level.WRONG, refusal, hint)


def _open_files(patient: Patient) -> Iterator[Finding]:
    del patient
    soft = resource.RLIM_INFINITY
    with suppress(OSError, ValueError):
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FEW_FILES:
        hint = "raise it with `ulimit -n`, or LimitNOFILE= of the unit"
        yield Finding("files open", Level.WARNING, f"at most {soft} at once", hint)


_LOOKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _files,
    _state_folder,
    _ledger,
    _daemon,
    _open_doors,
    _sandbox,
    _alerts,
    _open_files,
)
