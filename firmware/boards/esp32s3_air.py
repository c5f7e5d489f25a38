"""Air-quality node on an ESP32-S3-DevKitC-1: SEN66 and BME280 on one I2C bus (Sensirion parts allow 100 kHz)."""

CHIP = "esp32s3"
I2C = {"sensors": (0, 9, 8, 100000)}
UART = {}
PWM = {}
