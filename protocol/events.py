"""Event codes: what `Event.code` may say. `registry.py` holds the name, severity and meaning of each.

A code is never reused. Codes below 24 cost one byte.
"""

BOOT = 1  # attributes are a Boot message
CONFIG = 2
TIME_SYNC = 3
TASK_RESTART = 4
SAFE_MODE = 5
OUTBOX_EVICTED = 6
COMMAND = 7
LINK_LOST = 8
SENSOR_FAULT = 9
SENSOR_STATUS = 10
GEAR_BANK = 11
UPDATE = 12
LAMP_FAILURE = 16
LAMP_POWER_LOW = 17
LAMP_POWER_HIGH = 18
LAMP_UNEXPECTED_ON = 19
SUPPLY_VOLTAGE = 20
METER_FAULT = 21
LAMP_FAIL_BRIGHT = 22
