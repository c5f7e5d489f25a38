"""The loader of a chip in download mode: the ROM, and after an upload to RAM the flasher stub."""

from collections.abc import Callable

from tools.virtual_board import slip
from tools.virtual_board.chips import Chip
from tools.virtual_board.flash import FlashChip
from tools.virtual_board.loader.protocol import (
    DONE,
    FRAME_MAX,
    HELLO,
    RAM_BLOCK,
    ROM_BLOCK,
    STUB_BLOCK,
    SYNC_ANSWERS,
    SYNC_VALUE,
    Answer,
    Fault,
    Op,
    RefusedError,
    Request,
    answered,
    parse,
    payload,
    refused,
    words,
)
from tools.virtual_board.loader.reader import Reader
from tools.virtual_board.loader.registers import Registers
from tools.virtual_board.loader.writer import InflatingWriter, Writer

_SLOW_READ = 64  # bytes of data in every answer to READ_FLASH_SLOW
_RAM_MAX = 1 << 20  # bytes that may be announced for RAM
_SECURITY_INFO = 20  # bytes: flags, crypt count, 7 key purposes, chip id, version of the interface


class Loader:
    """Takes the bytes of the host, answers through `send`.

    `leave(to_app)` is called when a command ends the loader: the program is to be run (True), or the ROM to start
    again. PowerCut comes out of `feed` when the power is cut within an operation. `spoil_md5` counts the digests that
    are still to be told wrongly.
    """

    def __init__(
        self,
        chip: Chip,
        flash: FlashChip,
        registers: Registers,
        send: Callable[[bytes], None],
        leave: Callable[[bool], None],
    ) -> None:
        self.stub = False
        self.spoil_md5 = 0
        self._chip = chip
        self._flash = flash
        self._registers = registers
        self._send = send
        self._leave = leave
        self._frames = slip.Decoder(FRAME_MAX)
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        self._ram_left = 0

    def feed(self, data: bytes) -> None:
        """Bytes from the host: every command that they complete is done and answered."""
        for frame in self._frames.feed(data):
            if self._reader is not None and len(frame) == 4:
                self._reader.acknowledged(int.from_bytes(frame, "little"))
                if self._reader.done:
                    self._reader = None
                continue
            request = parse(frame)
            if request is not None:
                self._reader = None
                self._do(request)

    def _do(self, request: Request) -> None:
        handler = _HANDLERS.get(request.op)
        if handler is None or (request.op in _STUB_ONLY and not self.stub):
            self._send(refused(request.op, Fault.UNKNOWN, self.stub))
            return
        try:
            answer = handler(self, request)
        except RefusedError as error:
            self._send(refused(request.op, error.fault, self.stub))
            return
        if answer is not None:
            self._send(answered(request.op, answer, self.stub))
        after = _AFTERWARDS.get(request.op)
        if after is not None:
            after(self, request)

    # -- commands; None = no answer, or it was sent already

    def _sync(self, _: Request) -> Answer | None:
        answer = answered(Op.SYNC, Answer(0 if self.stub else SYNC_VALUE), self.stub)
        self._send(answer * SYNC_ANSWERS)
        return None

    def _read_reg(self, request: Request) -> Answer:
        return Answer(self._registers.read(words(request.data, 1)[0]))

    def _write_reg(self, request: Request) -> Answer:
        """One or more quadruples of address, value, mask, delay."""
        data = request.data
        if not data or len(data) % 16:
            raise RefusedError(Fault.MESSAGE)
        for start in range(0, len(data), 16):
            address, value, mask, _ = words(data[start:], 4)
            self._registers.write(address, value, mask)
        return DONE

    def _security_info(self, _: Request) -> Answer:
        if not self._chip.has_security_info:
            raise RefusedError(Fault.UNKNOWN)
        return Answer(data=bytes(12) + self._chip.image_id.to_bytes(4, "little") + bytes(4))

    def _accept(self, _: Request) -> Answer:
        """SPI_ATTACH, SPI_SET_PARAMS, CHANGE_BAUDRATE: nothing of it shows."""
        return DONE

    def _mem_begin(self, request: Request) -> Answer:
        size, _, block_size, _ = words(request.data, 4)
        if size > _RAM_MAX or block_size > RAM_BLOCK:
            raise RefusedError(Fault.MESSAGE)
        self._ram_left = size
        return DONE

    def _mem_data(self, request: Request) -> Answer:
        """What is uploaded is not kept: nothing could run it."""
        _, data = payload(request)
        if len(data) > self._ram_left:
            raise RefusedError(Fault.MESSAGE)
        self._ram_left -= len(data)
        return DONE

    def _mem_end(self, request: Request) -> Answer:
        words(request.data, 2)
        return DONE

    def _after_mem_end(self, request: Request) -> None:
        """A program in RAM is taken for the stub."""
        if words(request.data, 2)[1] != 0:
            self.stub = True
            self._send(HELLO)

    def _flash_begin(self, request: Request) -> Answer:
        self._writer = self._begin(Writer, request)
        return DONE

    def _defl_begin(self, request: Request) -> Answer:
        self._writer = self._begin(InflatingWriter, request)
        return DONE

    def _begin(self, kind: type[Writer], request: Request) -> Writer:
        size, _, block_size, at = words(request.data, 4)
        if block_size > (STUB_BLOCK if self.stub else ROM_BLOCK):
            raise RefusedError(Fault.BLOCK)
        return kind(self._flash, at, size, block_size, erase_first=not self.stub)

    def _flash_data(self, request: Request) -> Answer:
        sequence, data = payload(request)
        if self._writer is None or isinstance(self._writer, InflatingWriter) != (request.op == Op.FLASH_DEFL_DATA):
            raise RefusedError(Fault.NOT_BEGUN)
        self._writer.block(sequence, data)
        return DONE

    def _flash_end(self, request: Request) -> Answer:
        words(request.data, 1)
        if self._writer is None:
            raise RefusedError(Fault.NOT_BEGUN)
        self._writer = None
        return DONE

    def _after_flash_end(self, request: Request) -> None:
        """0: reset, with the strap as it was latched, so to the ROM's loader; 1: the ROM runs the program, the stub
        stays."""
        if words(request.data, 1)[0] == 0:
            self._leave(False)
        elif not self.stub:
            self._leave(True)

    def _md5(self, request: Request) -> Answer:
        at, size = self._range(request)
        digest = self._flash.md5(at, size)
        if self.spoil_md5 > 0:
            self.spoil_md5 -= 1
            digest = bytes(byte ^ 0xFF for byte in digest)
        return Answer(data=digest if self.stub else digest.hex().encode())

    def _read_slow(self, request: Request) -> Answer:
        if self.stub:
            raise RefusedError(Fault.UNKNOWN)
        at, size = self._range(request)
        if size > _SLOW_READ:
            raise RefusedError(Fault.MESSAGE)
        return Answer(data=self._flash.read(at, size).ljust(_SLOW_READ, b"\0"))

    def _erase_flash(self, _: Request) -> Answer:
        self._flash.erase(0, self._flash.size)
        return DONE

    def _erase_region(self, request: Request) -> Answer:
        at, size = self._range(request)
        self._flash.erase(at, size)
        return DONE

    def _read_flash(self, request: Request) -> Answer:
        at, size, block_size, window = words(request.data, 4)
        self._reader = Reader(self._flash, at, size, block_size, window, self._send)
        return DONE

    def _after_read_flash(self, _: Request) -> None:
        if self._reader is not None:
            self._reader.acknowledged(0)

    def _run_user_code(self, _: Request) -> None:
        self._leave(True)

    def _range(self, request: Request) -> tuple[int, int]:
        """(address, size) within the flash."""
        at, size = words(request.data, 2)
        if at > self._flash.size or size > self._flash.size - at:
            raise RefusedError(Fault.FAILED)
        return at, size


_HANDLERS: dict[int, Callable[[Loader, Request], Answer | None]] = {
    Op.FLASH_BEGIN: Loader._flash_begin,
    Op.FLASH_DATA: Loader._flash_data,
    Op.FLASH_END: Loader._flash_end,
    Op.MEM_BEGIN: Loader._mem_begin,
    Op.MEM_END: Loader._mem_end,
    Op.MEM_DATA: Loader._mem_data,
    Op.SYNC: Loader._sync,
    Op.WRITE_REG: Loader._write_reg,
    Op.READ_REG: Loader._read_reg,
    Op.SPI_SET_PARAMS: Loader._accept,
    Op.SPI_ATTACH: Loader._accept,
    Op.READ_FLASH_SLOW: Loader._read_slow,
    Op.CHANGE_BAUDRATE: Loader._accept,
    Op.FLASH_DEFL_BEGIN: Loader._defl_begin,
    Op.FLASH_DEFL_DATA: Loader._flash_data,
    Op.FLASH_DEFL_END: Loader._flash_end,
    Op.SPI_FLASH_MD5: Loader._md5,
    Op.GET_SECURITY_INFO: Loader._security_info,
    Op.ERASE_FLASH: Loader._erase_flash,
    Op.ERASE_REGION: Loader._erase_region,
    Op.READ_FLASH: Loader._read_flash,
    Op.RUN_USER_CODE: Loader._run_user_code,
}
_STUB_ONLY = frozenset({Op.ERASE_FLASH, Op.ERASE_REGION, Op.READ_FLASH, Op.RUN_USER_CODE})
_AFTERWARDS: dict[int, Callable[[Loader, Request], None]] = {
    Op.MEM_END: Loader._after_mem_end,
    Op.FLASH_END: Loader._after_flash_end,
    Op.FLASH_DEFL_END: Loader._after_flash_end,
    Op.READ_FLASH: Loader._after_read_flash,
}
