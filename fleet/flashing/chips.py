"""The chips that our firmware runs on, as far as flashing tells them apart."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """`name` as esptool takes it; `image_id` is in the header of every image; the bootloader is at `bootloader`."""

    name: str
    image_id: int  # esp_chip_id_t
    bootloader: int  # bytes from the start of the flash
    download: str  # MicroPython's name of a board that fits every board with this chip


_ALL = (
    Chip("esp32", 0, 0x1000, "ESP32_GENERIC"),
    Chip("esp32s2", 2, 0x1000, "ESP32_GENERIC_S2"),
    Chip("esp32c3", 5, 0x0, "ESP32_GENERIC_C3"),
    Chip("esp32s3", 9, 0x0, "ESP32_GENERIC_S3"),
    Chip("esp32c6", 13, 0x0, "ESP32_GENERIC_C6"),
)
CHIPS = {chip.name: chip for chip in _ALL}
BY_IMAGE_ID = {chip.image_id: chip for chip in _ALL}
