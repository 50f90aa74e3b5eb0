"""Runs alembic's revisions. Imported only when there are some to run."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from amodal_rt.storage.writer import driver


def known_revisions(folder: Path) -> set[str]:
    """Every revision that `folder` can start from or end at."""
    revisions = ScriptDirectory.from_config(_config(folder)).walk_revisions()
    return {each.revision for each in revisions}


def upgrade(connection: Connection, folder: Path, head: str) -> None:
    """Run the revisions up to `head` that the file does not have, in one transaction."""
    config = _config(folder)
    config.attributes["connection"] = connection
    raw = driver(connection)
    # SQLite rolls table changes back too, so that a crash here leaves the old version whole.
    raw.execute("BEGIN IMMEDIATE")
    command.upgrade(config, head)
    raw.execute("COMMIT")


def _config(folder: Path) -> Config:
    config = Config()
    # A percent sign begins an interpolation in alembic's settings.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config
