"""The one door to SQL.

    store = Store.open("fleet.db"); store.migrate()
    store.nodes      who there is, what each said last                  nodes.py
    store.configs    what configuration each shall have                 configs.py
    store.claims     boards that asked for an identity                  claims.py
    store.commands   orders and how far they got                        commands.py
    store.releases   what was published                                 releases.py
    store.campaigns  orders to update, and how far each got             campaigns.py
    store.rollouts   plans, how far every node is, what is halted       rollouts.py
    store.facts      all that rollouts need to know of nodes            facts.py
    store.audit      who did or decided what, chained                   audit.py
    store.readings   records: latest, ranges, hourly, completeness      readings.py
    store.telemetry  what nodes are compared by                         telemetry.py
    store.presence   when nodes were heard                              presence.py
    store.journal    events, log lines, refused messages, figures       journal.py
    store.intake()   the writer of what the broker delivers             intake.py
    store.upkeep     roll-ups, retention                                upkeep.py

Every method is one transaction and may be called from any thread and any process. Times are integers that carry
their unit. Errors: NotFoundError for a node or command that does not exist, UnreachableError when the database fails.
"""

from pathlib import Path

from fleet.store import dialect
from fleet.store.audit import Audit
from fleet.store.campaigns import Campaigns
from fleet.store.claims import Claims
from fleet.store.commands import Commands
from fleet.store.configs import Configs
from fleet.store.facts import Facts
from fleet.store.intake import Intake
from fleet.store.journal import Journal
from fleet.store.nodes import Nodes
from fleet.store.presence import Presence
from fleet.store.readings import Readings
from fleet.store.releases import Releases
from fleet.store.rollouts import Rollouts
from fleet.store.telemetry import Telemetry
from fleet.store.upkeep import Upkeep


class Store:
    """One database. Close it when done; it is a context manager too."""

    def __init__(self, where: str) -> None:
        self._engine = dialect.engine(where)
        self.nodes = Nodes(self._engine)
        self.claims = Claims(self._engine)
        self.configs = Configs(self._engine)
        self.commands = Commands(self._engine)
        self.releases = Releases(self._engine)
        self.campaigns = Campaigns(self._engine)
        self.rollouts = Rollouts(self._engine)
        self.facts = Facts(self._engine)
        self.audit = Audit(self._engine)
        self.readings = Readings(self._engine)
        self.telemetry = Telemetry(self._engine)
        self.presence = Presence(self._engine)
        self.journal = Journal(self._engine)
        self.upkeep = Upkeep(self._engine)

    @classmethod
    def open(cls, where: str | Path) -> "Store":
        """The database at a path or URL. Nothing is read or made before the first use."""
        return cls(str(where))

    def migrate(self) -> None:
        """Bring the schema to this program's version; safe to call at every start."""
        from fleet.store import migrate  # costs 100 ms that only few commands need to pay

        with dialect.writing(self._engine) as connection:
            migrate.upgrade(connection)

    def schema(self) -> tuple[str | None, str]:
        """(revision of the database or None, revision that this program expects)."""
        from fleet.store import migrate

        with dialect.reading(self._engine) as connection:
            return migrate.revision(connection), migrate.newest()

    def intake(self) -> Intake:
        """The hot path, on a connection of its own; for one thread. Close it."""
        return Intake(self._engine)

    def backup(self, target: Path) -> None:
        """Copy the whole database to a new file while others use it."""
        dialect.backup(self._engine, target)

    def check(self) -> str:
        """ "ok", or what is wrong inside the database file."""
        return dialect.check(self._engine)

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
