"""Street-light node on an ESP32-S3-DevKitC-1: lamp driver on PWM, CSE7766 meter on a serial port (its TX only)."""

CHIP = "esp32s3"
I2C = {}
UART = {"meter": (1, 17, 18)}
PWM = {"lamp": (4, 1000)}
