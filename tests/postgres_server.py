"""A real PostgreSQL for tests: started when first asked for, one for each test process.

`shared()` gives it, or skips the test where PostgreSQL is not installed. The server survives
nothing: not the end of the process, however that comes.
"""

import atexit
import contextlib
import functools
import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

OLDEST = 15
OWNER = "ledger"
"""The role that owns the databases of tests: no superuser, as nobody's daemon should be."""
_DEBIAN = Path("/usr/lib/postgresql")
_PATIENCE = 60.0


class Missing(Exception):  # noqa: N818  says what is not there
    """No PostgreSQL that is new enough, or no driver for it; says what to install."""


class Server:
    """One PostgreSQL on 127.0.0.1 with a data folder of its own and `fsync` on."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        self._bin = _binaries()
        self._root = Path(tempfile.mkdtemp(prefix="amodal-rt-pg-"))
        self._root.chmod(0o755)
        self._data = self._root / "data"
        self._data.mkdir()
        self._options = list(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self.port = _free_port()
        self._run_as = _other_user()
        if self._run_as:
            for folder in (self._root, self._data):
                shutil.chown(folder, "postgres")
        # Not the C collation: an order that depends on the server's language must show.
        language = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        self._call("initdb", "-D", self._data, "-A", "trust", "-U", "postgres", "-E", "UTF8",
                   "--no-sync", *language)  # fmt: skip

    @property
    def pid(self) -> int:
        """The postmaster's process."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str, *, socket_file: bool = False) -> str:
        """Where `database` is, over TCP or over the socket file."""
        if socket_file:
            return f"postgresql://{OWNER}@/{database}?host={self._root}&port={self.port}"
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it on the data folder as it is, and wait until it takes connections."""
        assert self._process is None
        settings = ["fsync=on", f"port={self.port}", "listen_addresses=127.0.0.1",
                    f"unix_socket_directories={self._root}", *self._options]  # fmt: skip
        flags = [word for each in settings for word in ("-c", each)]
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._run_as, str(self._bin / "postgres"), "-D", str(self._data), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        # A test process that is killed closes this pipe, and the server goes with it.
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", 'read _; kill -QUIT "$0" 2>/dev/null', str(self.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._await_ready()

    def stop(self, mode: str = "fast") -> None:
        """`fast` ends sessions in good order; `immediate` is a crash that recovers at start."""
        sent = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        os.kill(self.pid, sent)
        self._gone()

    def kill(self) -> None:
        """SIGKILL to the server with all its sessions at once, as when the machine goes."""
        os.kill(self.pid, signal.SIGSTOP)
        # A session that is begun while it stops, or that still ends, would keep the memory that
        # they share, and the next start would find it in use.
        _await_state("T", self.pid)
        for child in self.sessions():
            _signal(child, signal.SIGKILL)
        _await_state("Z", *self.sessions())
        os.kill(self.pid, signal.SIGKILL)
        self._gone()
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def restart(self, mode: str = "fast") -> None:
        """`stop` and `start`."""
        self.stop(mode)
        self.start()

    def pause(self) -> None:
        """Freeze the server with all its sessions; connections stay open and silent."""
        for pid in (self.pid, *self.sessions()):
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """The inverse of `pause`."""
        for pid in (*self.sessions(), self.pid):
            _signal(pid, signal.SIGCONT)

    def sessions(self) -> list[int]:
        """The server's child processes."""
        names = [entry.name for entry in Path("/proc").iterdir()]
        return [int(name) for name in names if name.isdigit() and _parent(name) == self.pid]

    def ask(self, statement: str, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Send one statement as the superuser, outside any transaction; its rows."""
        import psycopg

        where = f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
        # A test may have made the server read-only.
        options = "-c default_transaction_read_only=off"
        with psycopg.connect(
            where, autocommit=True, connect_timeout=10, options=options
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def fresh(self, template: str = "template1") -> str:
        """The name of a new database, empty or like `template`."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.ask(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}")
        return name

    def drop(self, database: str) -> None:
        """Remove a database with all its sessions."""
        self.ask(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def log(self) -> str:
        """What the server has said so far."""
        return (self._root / "log").read_text(errors="replace")

    def close(self) -> None:
        """Stop it and remove its data."""
        if self._process is not None:
            self.resume()
            self.stop("immediate")
        shutil.rmtree(self._root, ignore_errors=True)

    def _call(self, program: str, *words: str | Path) -> None:
        command = [*self._run_as, str(self._bin / program), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    def _await_ready(self) -> None:
        import psycopg

        until = time.monotonic() + _PATIENCE
        while True:
            try:
                found = self.ask(f"SELECT 1 FROM pg_roles WHERE rolname = '{OWNER}'")
                break
            except psycopg.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"PostgreSQL did not start: {self.log()}") from None
                time.sleep(0.02)
        if not found:
            self.ask(f"CREATE ROLE {OWNER} LOGIN")

    def _gone(self) -> None:
        assert self._process is not None
        assert self._guard is not None
        self._process.wait(_PATIENCE)
        self._guard.kill()
        self._guard.communicate()
        self._process = self._guard = None


@functools.cache
def _started() -> Server | str:
    try:
        server = Server()
    except Missing as reason:
        return str(reason)
    atexit.register(server.close)
    server.start()
    return server


def shared() -> Server:
    """The server of this test process. Skips the test where there can be none.

    A test that stops or kills it starts it again before it ends.
    """
    found = _started()
    if isinstance(found, str):
        pytest.skip(found)
    return found


_CLEAR = """
DO $$ DECLARE name text; BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
END $$
"""
_idle: list[str] = []


@contextlib.contextmanager
def fresh_ledger() -> Iterator[str]:
    """The URL of an empty ledger's database, with its tables.

    Emptied and used again by later tests: making a database costs half a second.
    """
    from amodal_rt.storage.postgres_session import PostgresServer

    server = shared()
    if not _idle:
        database = server.fresh()
        PostgresServer(server.url(database)).open_writer().close()
        _idle.append(database)
    database = _idle.pop()
    yield server.url(database)
    server.ask(_CLEAR, database=database)
    _idle.append(database)


def available() -> str | None:
    """None where `Server` can be made, else what is missing."""
    try:
        _binaries()
    except Missing as reason:
        return str(reason)
    return None


def _binaries() -> Path:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise Missing("psycopg is not installed (the extra `postgres`)") from None
    told = shutil.which("pg_config")
    folders = sorted(_DEBIAN.glob("*/bin"), key=lambda path: -int(path.parent.name))
    if told is not None:
        asked = subprocess.run([told, "--bindir"], capture_output=True, text=True, check=True)
        folders.append(Path(asked.stdout.strip()))
    for folder in folders:
        program = folder / "postgres"
        if not (program.exists() and (folder / "initdb").exists()):
            continue
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        version = re.search(r"(\d+)", said.stdout)
        if version is not None and int(version[1]) >= OLDEST:
            return folder
    raise Missing(f"PostgreSQL {OLDEST} or newer is not installed (on Debian: postgresql)")


def _other_user() -> list[str]:
    """How to become the user `postgres`: the server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        raise Missing("there is no user postgres to run the server as") from None
    # Replaces itself by the program, so that the process we started is the server's.
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _parent(pid: str) -> int | None:
    found = _stat(pid)
    return int(found[1]) if found else None


def _stat(pid: str) -> list[str] | None:
    """From the state on, as proc(5) has it; None where there is no such process."""
    try:
        text = Path("/proc", pid, "stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _await_state(state: str, *pids: int) -> None:
    until = time.monotonic() + _PATIENCE
    for pid in pids:
        while (found := _stat(str(pid))) is not None and found[0] != state:
            assert time.monotonic() < until, f"process {pid} stays in {found[0]}"
            time.sleep(0.002)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
