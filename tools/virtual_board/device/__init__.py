"""Runs under MicroPython in place of an ESP32's hardware: machine, network, esp32, time, over models and a file."""
