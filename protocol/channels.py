"""Channel ids: the integer that names a quantity in a record. `registry.py` holds name, unit, scale and range of each.

Ids below 24 cost one byte on the wire and go to the quantities that every node sends every minute.
An id is never reused and never changes its unit or scale (SPEC 5.2).
"""

# air: every minute
PM1 = 1
PM25 = 2
PM4 = 3
PM10 = 4
T_IN = 5
RH_IN = 6
VOC_IDX = 7
NOX_IDX = 8
CO2 = 9
P = 10
T_AMB = 11
RH_AMB = 12
# light: every report
LEVEL_TARGET = 13
LEVEL_FEEDBACK = 14
LEVEL_ACTUAL = 15
LEVEL_REASON = 16
V = 17
I = 18
P_ACTIVE = 19
E_ACTIVE = 20
LUX = 21
STATUS = 22
LAMP_S = 23
# air: second particle sensor, counts, gases, noise
PM25_B = 24
AB_DIFF = 25
NC05 = 26
NC1 = 27
NC25 = 28
NC4 = 29
NC10 = 30
TPS = 31
SRAW_VOC = 32
SRAW_NOX = 33
NO2_WE = 34
NO2_AE = 35
OX_WE = 36
OX_AE = 37
NO2 = 38
O3 = 39
LAEQ = 40
LAMIN = 41
LAMAX = 42
FAN_S = 43
LASER_S = 44
LAST_CLEAN = 45
ASC_STATE = 46
FRC = 47
# light: power quality, counters, environment
Q = 48
S = 49
PF = 50
FREQ = 51
STARTS = 52
SUPPLY_LOSS = 53
PHOTOCELL = 54
MOTION = 55
OCCUPIED_S = 56
TRAFFIC_CLASS = 57
TILT_X = 58
TILT_Y = 59
IMPACT = 60
T_CASE = 61
T_GEAR = 62
SUNRISE = 63
SUNSET = 64
NEXT_SWITCH = 65
PROGRAM = 66
OVERRIDE = 67
OVERRIDE_EXPIRY = 68
GAS_CALIB = 69
# light: what DALI memory banks 205 (gear) and 206 (source) say, decoded; the raw bytes travel in the event GEAR_BANK
GEAR_S = 70
GEAR_STARTS = 71
GEAR_FAULTS = 72
SOURCE_S = 73
SOURCE_STARTS = 74
SOURCE_FAULTS = 75
SOURCE_V = 76
SOURCE_I = 77
T_SOURCE = 78

# Bits of STATUS (SPEC 5.6)
STATUS_FAN = 1 << 0
STATUS_PM = 1 << 1
STATUS_GAS = 1 << 2
STATUS_CO2 = 1 << 3
STATUS_RHT = 1 << 4
STATUS_WARM_UP = 1 << 5
STATUS_CLEANING = 1 << 6
STATUS_HUMID = 1 << 7
STATUS_CONDENSING = 1 << 8
STATUS_AB = 1 << 9
STATUS_FAN_SPEED = 1 << 10

# Values of LEVEL_REASON (SPEC 5.7): who decided the lamp's level, the strongest last
REASON_DEFAULT = 0
REASON_PROGRAM = 1
REASON_DYNAMIC = 2
REASON_OVERRIDE = 3
REASON_LOCAL = 4
REASON_FAIL_BRIGHT = 5
