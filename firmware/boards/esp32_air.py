"""Air-quality node on an ESP32-DevKitC: SEN66 and BME280 on one I2C bus (Sensirion parts allow 100 kHz)."""

CHIP = "esp32"
I2C = {"sensors": (0, 22, 21, 100000)}
UART = {}
PWM = {}
