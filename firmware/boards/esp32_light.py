"""Street-light node on an ESP32-DevKitC: lamp driver on PWM, CSE7766 meter on a serial port (its TX only)."""

CHIP = "esp32"
I2C = {}
UART = {"meter": (2, 17, 16)}
PWM = {"lamp": (25, 1000)}
