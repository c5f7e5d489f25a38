"""The virtual board: one process that looks like an ESP32 on a serial port (`python -m tools.virtual_board --help`)."""
