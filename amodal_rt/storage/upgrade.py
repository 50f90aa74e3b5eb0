"""Runs alembic's revisions. Imported only when there are some to run."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from amodal_rt import failpoints
from amodal_rt.errors import InternalError
from amodal_rt.storage.dialect import sqlite_driver


def known_revisions(folder: Path) -> set[str]:
    """Every revision that `folder` can start from or end at."""
    revisions = ScriptDirectory.from_config(_config(folder)).walk_revisions()
    return {each.revision for each in revisions}


def upgrade(connection: Connection, folder: Path, head: str) -> None:
    """Run the revisions up to `head` that the file does not have, in one transaction."""
    raw = sqlite_driver(connection)
    # Where SQLite cannot change a table it is made anew, and dropping the old one would take
    # with it every row that refers to it. Has no effect inside a transaction.
    raw.execute("PRAGMA foreign_keys = OFF")
    # SQLite rolls table changes back too, so that a crash here leaves the old version whole.
    raw.execute("BEGIN IMMEDIATE")
    run(connection, folder, head)
    if raw.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise InternalError("the upgrade would leave rows that refer to nothing", code="ledger_row")
    failpoints.hit("upgrade.before_commit")
    raw.execute("COMMIT")
    failpoints.hit("upgrade.after_commit")
    raw.execute("PRAGMA foreign_keys = ON")


def run(connection: Connection, folder: Path, head: str) -> None:
    """Run the revisions up to `head`, within a transaction of the caller's."""
    config = _config(folder)
    config.attributes["connection"] = connection
    command.upgrade(config, head)


def _config(folder: Path) -> Config:
    config = Config()
    # A percent sign begins an interpolation in alembic's settings.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config
