"""The power fails while a board keeps its identity: afterwards it has the identity, or still its ticket."""

import io

from firmware.tests.powercut import Trial
from node.board.host import HostBoard, HostNetwork
from node.core import provisioned
from node.core.clock import ticks_diff
from node.tasks.claim import Claiming
from protocol.claim import Ticket
from protocol.identity import PATH, TICKET_PATH, Identity

_BLOCKS = 16
TICKET = Ticket(urls=["u"], ca=b"c" * 500, batch="b", until=9, secret=bytes(32), kind="air", board="host")
IDENTITY = Identity(
    node="abc", kind="air", board="host", boot0=5, ca=b"c" * 500, cert=b"d" * 600, key=b"k" * 121, brokers=["h:1"]
)


def test_a_board_has_its_identity_or_still_its_ticket():
    def begin(files):
        files.write_atomic(TICKET_PATH, TICKET.encode())

    def scenario(files, notes):
        board = HostBoard("host", (lambda: 0, ticks_diff), None, HostNetwork(), io.BytesIO(256))
        Claiming(board, files, TICKET, lambda *_: None)._keep(IDENTITY.encode())
        notes.append("kept")

    def verdict(files, notes):
        if files.size(PATH) is None:
            assert not notes
            assert provisioned.ticket(files) == TICKET
        else:
            assert provisioned.load(files) == IDENTITY
        if notes:
            assert files.read(TICKET_PATH) is None

    assert Trial(_BLOCKS, begin, scenario, verdict).cuts > 20
