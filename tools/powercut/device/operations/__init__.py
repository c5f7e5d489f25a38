"""What a node writes to its flash, one class for each kind of writing: the one place to add one to."""

from tools.powercut.device.operations.documents import Boots, Commands, Lamp, Slot, Time
from tools.powercut.device.operations.entries import Eviction, Outbox
from tools.powercut.device.operations.first import FirstBoot, Format
from tools.powercut.device.operations.identity import Claim, Provisioning
from tools.powercut.device.operations.operation import Operation
from tools.powercut.device.operations.settings import Configuration
from tools.powercut.device.operations.update import Halt, Revert, Update

ALL: "dict[str, type[Operation]]" = {
    kind.NAME: kind
    for kind in (
        Provisioning,
        Claim,
        Configuration,
        Outbox,
        Eviction,
        Slot,
        Update,
        Revert,
        Halt,
        Boots,
        Time,
        Commands,
        Lamp,
        FirstBoot,
        Format,
    )
}
