"""Pin maps, one file per board: {name: (controller, pins..., rate)}. A test refuses pins that a chip cannot use for it.

CHIP  the chip, which decides what each pin can do
I2C   {bus: (controller, SCL, SDA, Hz)}
UART  {port: (controller, TX, RX)}
PWM   {output: (pin, Hz)}
"""
