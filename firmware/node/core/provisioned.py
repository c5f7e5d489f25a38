"""Reads the identity document that provisioning left on flash."""

from protocol import identity
from protocol.errors import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from node.core.files import FilesDoor
    from protocol.identity import Identity


class NotProvisionedError(Exception):
    """There is no usable identity: provision the node, then restart it."""


def load(files: "FilesDoor") -> "Identity":
    """Who this node is; raises NotProvisionedError."""
    data = files.read(identity.PATH)
    if data is None:
        raise NotProvisionedError("no {}: provision this node".format(identity.PATH))
    try:
        return identity.Identity.decode(data)
    except DecodeError as error:
        raise NotProvisionedError("{} is damaged ({}): provision this node again".format(identity.PATH, error))
