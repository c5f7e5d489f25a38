"""What the flash chip answers to single SPI commands: who it is, its parameter table, its status registers."""

READ_ID = 0x9F
READ_SFDP = 0x5A
_READ_STATUS = {0x05: 0, 0x35: 1, 0x15: 2}  # command: status byte
_WRITE_STATUS = {0x01: 0, 0x31: 1, 0x11: 2}
_ENABLE = (0x06, 0x50)
_DISABLE = 0x04
_GIGADEVICE = 0xC8
_GD25Q = 0x40
# JESD216: signature, revision 1.0, one header; the header of the basic table (0x30); its vendor's header at 0x10
_SFDP = b"SFDP\x00\x01\x00\xff" + b"\x00\x00\x01\x09\x30\x00\x00\xff" + bytes([_GIGADEVICE])


class SpiFlash:
    """A GigaDevice GD25Q of `size` bytes (a power of two, as every flash chip has)."""

    def __init__(self, size: int) -> None:
        self.size = size  # as the chip reports it
        self._status = bytearray(3)
        self._enabled = False

    def command(self, code: int, address: int, data: int) -> int:
        """The first word that comes back for command `code`, with `data` as the first word that was sent."""
        if code == READ_ID:
            return _GIGADEVICE | _GD25Q << 8 | (self.size.bit_length() - 1) << 16
        if code == READ_SFDP:
            return int.from_bytes(_SFDP[address : address + 4], "little")
        if code in _READ_STATUS:
            return self._status[_READ_STATUS[code]]
        if code in _WRITE_STATUS and self._enabled:
            self._status[_WRITE_STATUS[code]] = data & 0xFF
        self._enabled = code in _ENABLE or (self._enabled and code != _DISABLE and code not in _WRITE_STATUS)
        return 0
