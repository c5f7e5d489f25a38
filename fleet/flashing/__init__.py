"""Boards at a serial port: the only door to serial ports, esptool, mpremote, LittleFS images and the compiler."""
