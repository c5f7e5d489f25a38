"""Who may do what, said once for every broker.

A node publishes below its own `up` and subscribes below its own `down` and to the epoch, which is for all of them;
nothing else. The service and operators subscribe to every node's `up` and publish to every node's `down`; the epoch is
the service's and operators' to publish. Nobody may read what is meant for a node, except that node; nobody may speak
for a node, except that node.
"""

from dataclasses import dataclass
from enum import Enum

from cryptography import x509

from fleet import pki
from protocol.topics import EPOCH, PREFIX


class Role(Enum):
    """The two kinds of users."""

    NODE = "node"
    MANAGER = "manager"  # the service, and operators


@dataclass(frozen=True, slots=True)
class User:
    """One certificate that the broker admits: `name` is its CN, `serial` its number."""

    name: str
    serial: int
    role: Role = Role.NODE

    @property
    def identity(self) -> str:
        """The name of exactly this certificate."""
        return pki.identity(self.name, self.serial)

    @property
    def publish(self) -> tuple[str, ...]:
        """Topic filters that it may publish to."""
        return (f"{PREFIX}/{self.name}/up/#",) if self.role is Role.NODE else (f"{PREFIX}/+/down/#",)

    @property
    def subscribe(self) -> tuple[str, ...]:
        """Topic filters that it may subscribe to, as they stand or narrower."""
        return (f"{PREFIX}/{self.name}/down/#", EPOCH) if self.role is Role.NODE else (f"{PREFIX}/+/up/#",)


def manager(cert: x509.Certificate) -> User:
    """The user of the service's or an operator's certificate."""
    name = cert.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    return User(str(name), cert.serial_number, Role.MANAGER)
