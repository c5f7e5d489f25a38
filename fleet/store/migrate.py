"""Bring a database to the newest schema: alembic, run from package data, without an alembic.ini."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from fleet.errors import FleetError


def revision(connection: Connection) -> str | None:
    """The schema of the database, or None when it has no tables yet."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """The schema that this program expects."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def revisions() -> list[str]:
    """Every schema there was, oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


def upgrade(connection: Connection, target: str = "head") -> None:
    """Run what is missing, in one transaction; FleetError when the database comes from a newer program."""
    found = revision(connection)
    if found is not None and found not in revisions():
        raise FleetError(
            "the database was written by a newer version of fleet",
            cause=f"its schema is {found}, this program knows up to {newest()}",
            hint="update this program; a database cannot be taken back",
        )
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "fleet.store:migrations")
    return config
