"""Reads what provisioning left on flash: the identity of a node, or a ticket to claim one."""

from protocol import identity
from protocol.errors import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.files import FilesDoor
    from protocol.claim import Ticket
    from protocol.identity import Identity


class NotProvisionedError(Exception):
    """There is no usable identity: provision the node, then restart it. `damaged`: there is one, but unreadable."""

    def __init__(self, text: str, damaged: bool = False) -> None:
        super().__init__(text)
        self.damaged = damaged


def load(files: "FilesDoor") -> "Identity":
    """Who this node is; raises NotProvisionedError."""
    data = files.read(identity.PATH)
    if data is None:
        raise NotProvisionedError("no {}: provision this node".format(identity.PATH))
    try:
        return identity.Identity.decode(data)
    except DecodeError as error:
        text = "{} is damaged ({}): provision this node again".format(identity.PATH, error)
        raise NotProvisionedError(text, True)


def ticket(files: "FilesDoor") -> "Ticket":
    """What a board without an identity has to claim one; raises NotProvisionedError."""
    from protocol.claim import Ticket

    data = files.read(identity.TICKET_PATH)
    if data is None:
        raise NotProvisionedError("no {}: provision this node".format(identity.PATH))
    try:
        return Ticket.decode(data)
    except DecodeError as error:
        text = "{} is damaged ({}): provision this node".format(identity.TICKET_PATH, error)
        raise NotProvisionedError(text, True)
