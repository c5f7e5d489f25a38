"""What every channel and event code means: the one table behind the documents, the exports and the screens.

Host side only; a node knows the ids (channels.py, events.py) and the scale that its driver writes.
Units: UCUM for documents and exports, SenML (RFC 8428, 8798) where a unit of the same size is registered, else "".
"""

# ruff: noqa: E501 - a row of the table is a line

from dataclasses import dataclass

from protocol import channels as c
from protocol import events as e

AIR = "air"
LIGHT = "light"
BOTH = "both"

_U32 = 0xFFFFFFFF
_U48 = (1 << 47) - 1


@dataclass(frozen=True, slots=True)
class Channel:
    """A quantity: `value in unit = raw / per`; a raw value outside low .. high is not plausible."""

    id: int
    name: str
    label: str
    ucum: str
    senml: str
    per: int
    low: int
    high: int
    kind: str
    doc: str


@dataclass(frozen=True, slots=True)
class EventCode:
    """A thing that happens: severity is info, warning or error; `attributes` names the attribute keys 1, 2, ..."""

    code: int
    name: str
    severity: str
    attributes: tuple[str, ...]
    doc: str


# fmt: off
_AIR_MINUTE = (
    Channel(c.PM1, "pm1", "PM1", "ug/m3", "ug/m3", 10, 0, 100_000, AIR, "mass of particles up to 1 um"),
    Channel(c.PM25, "pm25", "PM2.5", "ug/m3", "ug/m3", 10, 0, 100_000, AIR, "mass of particles up to 2.5 um, as the sensor says, not corrected"),
    Channel(c.PM4, "pm4", "PM4", "ug/m3", "ug/m3", 10, 0, 100_000, AIR, "mass of particles up to 4 um"),
    Channel(c.PM10, "pm10", "PM10", "ug/m3", "ug/m3", 10, 0, 100_000, AIR, "mass of particles up to 10 um"),
    Channel(c.T_IN, "t_in", "inlet temperature", "Cel", "Cel", 100, -4000, 8500, AIR, "in the particle sensor's air path"),
    Channel(c.RH_IN, "rh_in", "inlet humidity", "%", "%RH", 100, 0, 10_000, AIR, "relative, in the particle sensor's air path"),
    Channel(c.VOC_IDX, "voc_idx", "VOC index", "1", "/", 10, 10, 5000, AIR, "Sensirion VOC index, 1 to 500, 100 is the mean of 24 h"),
    Channel(c.NOX_IDX, "nox_idx", "NOx index", "1", "/", 10, 10, 5000, AIR, "Sensirion NOx index, 1 to 500, 1 is background"),
    Channel(c.CO2, "co2", "CO2", "[ppm]", "ppm", 1, 0, 40_000, AIR, "pressure compensated"),
    Channel(c.P, "p", "pressure", "Pa", "Pa", 1, 30_000, 110_000, AIR, "at the station, not reduced to sea level"),
    Channel(c.T_AMB, "t_amb", "temperature", "Cel", "Cel", 100, -4000, 8500, AIR, "ambient, in the radiation shield"),
    Channel(c.RH_AMB, "rh_amb", "humidity", "%", "%RH", 100, 0, 10_000, AIR, "relative, ambient, in the radiation shield"),
)
_AIR_MORE = (
    Channel(c.PM25_B, "pm25_b", "PM2.5, sensor B", "ug/m3", "ug/m3", 10, 0, 100_000, AIR, "mass of particles up to 2.5 um, second sensor"),
    Channel(c.AB_DIFF, "ab_diff", "A/B difference", "%", "/100", 10, -2000, 2000, AIR, "(A - B) / mean of A and B"),
    Channel(c.NC05, "nc05", "count to 0.5 um", "1/cm3", "", 10, 0, 1_000_000, AIR, "particles from 0.3 um up to 0.5 um"),
    Channel(c.NC1, "nc1", "count to 1 um", "1/cm3", "", 10, 0, 1_000_000, AIR, "particles from 0.3 um up to 1 um"),
    Channel(c.NC25, "nc25", "count to 2.5 um", "1/cm3", "", 10, 0, 1_000_000, AIR, "particles from 0.3 um up to 2.5 um"),
    Channel(c.NC4, "nc4", "count to 4 um", "1/cm3", "", 10, 0, 1_000_000, AIR, "particles from 0.3 um up to 4 um"),
    Channel(c.NC10, "nc10", "count to 10 um", "1/cm3", "", 10, 0, 1_000_000, AIR, "particles from 0.3 um up to 10 um"),
    Channel(c.TPS, "tps", "typical particle size", "um", "", 100, 0, 1000, AIR, "mean diameter by count"),
    Channel(c.SRAW_VOC, "sraw_voc", "VOC raw signal", "1", "", 1, 0, 65_535, AIR, "ticks, before the gas index algorithm"),
    Channel(c.SRAW_NOX, "sraw_nox", "NOx raw signal", "1", "", 1, 0, 65_535, AIR, "ticks, before the gas index algorithm"),
    Channel(c.NO2_WE, "no2_we", "NO2 working electrode", "uV", "", 1, -6_144_000, 6_144_000, AIR, "electrochemical cell"),
    Channel(c.NO2_AE, "no2_ae", "NO2 auxiliary electrode", "uV", "", 1, -6_144_000, 6_144_000, AIR, "electrochemical cell"),
    Channel(c.OX_WE, "ox_we", "Ox working electrode", "uV", "", 1, -6_144_000, 6_144_000, AIR, "electrochemical cell, O3 and NO2 together"),
    Channel(c.OX_AE, "ox_ae", "Ox auxiliary electrode", "uV", "", 1, -6_144_000, 6_144_000, AIR, "electrochemical cell, O3 and NO2 together"),
    Channel(c.NO2, "no2", "NO2", "[ppb]", "ppb", 10, -1000, 200_000, AIR, "derived from the electrodes by calibration gas_calib"),
    Channel(c.O3, "o3", "O3", "[ppb]", "ppb", 10, -1000, 200_000, AIR, "derived from the electrodes by calibration gas_calib"),
    Channel(c.GAS_CALIB, "gas_calib", "gas calibration", "1", "", 1, 0, _U32, AIR, "id of the calibration behind no2 and o3"),
    Channel(c.LAEQ, "laeq", "noise LAeq", "dB[SPL]", "dB", 10, 0, 1400, AIR, "A-weighted energetic mean of the interval"),
    Channel(c.LAMIN, "lamin", "noise LAmin", "dB[SPL]", "dB", 10, 0, 1400, AIR, "A-weighted, quietest second of the interval"),
    Channel(c.LAMAX, "lamax", "noise LAmax", "dB[SPL]", "dB", 10, 0, 1400, AIR, "A-weighted, loudest second of the interval"),
    Channel(c.FAN_S, "fan_s", "fan operation", "s", "s", 1, 0, _U32, AIR, "operating time of the particle sensor's fan"),
    Channel(c.LASER_S, "laser_s", "laser operation", "s", "s", 1, 0, _U32, AIR, "operating time of the particle sensor's laser"),
    Channel(c.LAST_CLEAN, "last_clean", "last fan cleaning", "s", "s", 1, 0, _U32, AIR, "seconds since 1970 UTC"),
    Channel(c.ASC_STATE, "asc_state", "CO2 self-calibration", "1", "", 1, 0, 1, AIR, "1 while automatic self-calibration is on"),
    Channel(c.FRC, "frc", "CO2 recalibration", "[ppm]", "ppm", 1, -32_768, 32_767, AIR, "correction of the last forced recalibration"),
)
_LIGHT_REPORT = (
    Channel(c.LEVEL_TARGET, "level_target", "target level", "%", "/100", 2, 0, 200, LIGHT, "what the arbitration asks for"),
    Channel(c.LEVEL_FEEDBACK, "level_feedback", "feedback level", "%", "/100", 2, 0, 200, LIGHT, "what the gear says"),
    Channel(c.LEVEL_ACTUAL, "level_actual", "actual level", "%", "/100", 2, 0, 200, LIGHT, "what is being sent to the gear now"),
    Channel(c.LEVEL_REASON, "level_reason", "reason of the level", "1", "", 1, 0, 5, LIGHT, "a code of SPEC 5.7"),
    Channel(c.V, "v", "mains voltage", "V", "V", 1000, 0, 400_000, LIGHT, "RMS"),
    Channel(c.I, "i", "current", "A", "A", 10_000, 0, 1_000_000, LIGHT, "RMS"),
    Channel(c.P_ACTIVE, "p_active", "active power", "W", "W", 10, -100_000, 100_000, LIGHT, "mean of the interval"),
    Channel(c.E_ACTIVE, "e_active", "active energy", "W.h", "Wh", 1, 0, _U48, LIGHT, "counter, kept over resets"),
    Channel(c.LUX, "lux", "illuminance", "lx", "lx", 1, 0, 200_000, LIGHT, "ambient, at the photocell"),
    Channel(c.STATUS, "status", "status bits", "1", "", 1, 0, _U32, BOTH, "bits of SPEC 5.6"),
    Channel(c.LAMP_S, "lamp_s", "lamp operation", "s", "s", 1, 0, _U32, LIGHT, "operating time, kept over resets"),
)
_LIGHT_MORE = (
    Channel(c.Q, "q", "reactive power", "var", "var", 10, -100_000, 100_000, LIGHT, "mean of the interval"),
    Channel(c.S, "s", "apparent power", "V.A", "VA", 10, 0, 100_000, LIGHT, "mean of the interval"),
    Channel(c.PF, "pf", "power factor", "1", "/", 1000, -1000, 1000, LIGHT, "active by apparent power"),
    Channel(c.FREQ, "freq", "mains frequency", "Hz", "Hz", 100, 4000, 7000, LIGHT, "mean of the interval"),
    Channel(c.STARTS, "starts", "lamp starts", "1", "count", 1, 0, _U32, LIGHT, "counter, kept over resets"),
    Channel(c.SUPPLY_LOSS, "supply_loss", "supply losses", "1", "count", 1, 0, _U32, LIGHT, "counter, kept over resets"),
    Channel(c.PHOTOCELL, "photocell", "photocell", "1", "/", 1, 0, 1, LIGHT, "1 when it asks for light"),
    Channel(c.MOTION, "motion", "motion count", "1", "count", 1, 0, _U32, LIGHT, "detections in the interval"),
    Channel(c.OCCUPIED_S, "occupied_s", "occupied time", "s", "s", 1, 0, 86_400, LIGHT, "time with motion in the interval"),
    Channel(c.TRAFFIC_CLASS, "traffic_class", "traffic class", "1", "", 1, 0, 255, LIGHT, "class in force, by the lighting plan"),
    Channel(c.TILT_X, "tilt_x", "tilt across", "deg", "deg", 10, -1800, 1800, LIGHT, "of the pole, across the road"),
    Channel(c.TILT_Y, "tilt_y", "tilt along", "deg", "deg", 10, -1800, 1800, LIGHT, "of the pole, along the road"),
    Channel(c.IMPACT, "impact", "impact peak", "[g]", "", 100, 0, 20_000, LIGHT, "largest acceleration of the interval"),
    Channel(c.T_CASE, "t_case", "case temperature", "Cel", "Cel", 10, -500, 1500, LIGHT, "of the luminaire"),
    Channel(c.T_GEAR, "t_gear", "gear temperature", "Cel", "Cel", 10, -500, 1500, LIGHT, "as the gear says"),
    Channel(c.SUNRISE, "sunrise", "sunrise", "s", "s", 1, 0, _U32, LIGHT, "of this day as the node computed it, seconds since 1970 UTC"),
    Channel(c.SUNSET, "sunset", "sunset", "s", "s", 1, 0, _U32, LIGHT, "of this day as the node computed it, seconds since 1970 UTC"),
    Channel(c.NEXT_SWITCH, "next_switch", "next switching", "s", "s", 1, 0, _U32, LIGHT, "seconds since 1970 UTC"),
    Channel(c.PROGRAM, "program", "programme", "1", "", 1, 0, _U32, LIGHT, "id of the programme in force"),
    Channel(c.OVERRIDE, "override", "override", "1", "", 1, 0, _U32, LIGHT, "id of the override in force, 0 for none"),
    Channel(c.OVERRIDE_EXPIRY, "override_expiry", "end of the override", "s", "s", 1, 0, _U32, LIGHT, "seconds since 1970 UTC"),
    Channel(c.GEAR_S, "gear_s", "gear operation", "s", "s", 1, 0, _U32, LIGHT, "DALI bank 205"),
    Channel(c.GEAR_STARTS, "gear_starts", "gear starts", "1", "count", 1, 0, _U32, LIGHT, "DALI bank 205"),
    Channel(c.GEAR_FAULTS, "gear_faults", "gear faults", "1", "", 1, 0, 0xFF, LIGHT, "DALI bank 205: bits overall, undervoltage, overvoltage, power limit, derating, shutdown"),
    Channel(c.SOURCE_S, "source_s", "light source operation", "s", "s", 1, 0, _U32, LIGHT, "DALI bank 206"),
    Channel(c.SOURCE_STARTS, "source_starts", "light source starts", "1", "count", 1, 0, _U32, LIGHT, "DALI bank 206"),
    Channel(c.SOURCE_FAULTS, "source_faults", "light source faults", "1", "", 1, 0, 0xFF, LIGHT, "DALI bank 206: bits overall, short, open, derating, shutdown"),
    Channel(c.SOURCE_V, "source_v", "light source voltage", "V", "V", 10, 0, 65_535, LIGHT, "DALI bank 206"),
    Channel(c.SOURCE_I, "source_i", "light source current", "A", "A", 1000, 0, 65_535, LIGHT, "DALI bank 206"),
    Channel(c.T_SOURCE, "t_source", "light source temperature", "Cel", "Cel", 10, -600, 1950, LIGHT, "DALI bank 206"),
)
CHANNELS = tuple(sorted(_AIR_MINUTE + _AIR_MORE + _LIGHT_REPORT + _LIGHT_MORE, key=lambda row: row.id))

_LAMP = ("level", "power_dw", "expected_dw")
EVENTS = (
    EventCode(e.BOOT, "boot", "info", (), "the node started; the attributes are the message Boot"),
    EventCode(e.CONFIG, "config", "info", ("rev", "error", "path"), "a configuration was applied, confirmed, refused or taken back"),
    EventCode(e.TIME_SYNC, "time_sync", "info", ("offset_ms", "quality"), "the clock was set, by more than it may drift"),
    EventCode(e.TASK_RESTART, "task_restart", "error", ("task", "count", "text"), "a task ended or hung and was started again"),
    EventCode(e.SAFE_MODE, "safe_mode", "error", ("crashes",), "too many crashes: only what keeps the lamp, the records and the link"),
    EventCode(e.OUTBOX_EVICTED, "outbox_evicted", "error", ("entries",), "entries were given up for lack of flash"),
    EventCode(e.COMMAND, "command", "info", ("name", "status", "code", "actor"), "a command ended"),
    EventCode(e.LINK_LOST, "link_lost", "warning", ("reason", "up_s"), "the session with the broker broke"),
    EventCode(e.SENSOR_FAULT, "sensor_fault", "error", ("sensor", "text"), "a sensor does not answer or answers nonsense"),
    EventCode(e.SENSOR_STATUS, "sensor_status", "warning", ("status", "before"), "the status bits of SPEC 5.6 changed"),
    EventCode(e.GEAR_BANK, "gear_bank", "info", ("bank", "data"), "raw bytes of a DALI memory bank"),
    EventCode(e.UPDATE, "update", "warning", ("counter", "stage", "code", "text", "manifest"), "an update ended, or a new program is on trial (SPEC 15)"),
    EventCode(e.LAMP_FAILURE, "lamp_failure", "error", _LAMP, "commanded on, and next to no power flows"),
    EventCode(e.LAMP_POWER_LOW, "lamp_power_low", "warning", _LAMP, "less power than the level asks for"),
    EventCode(e.LAMP_POWER_HIGH, "lamp_power_high", "warning", _LAMP, "more power than the level asks for"),
    EventCode(e.LAMP_UNEXPECTED_ON, "lamp_unexpected_on", "warning", _LAMP, "commanded off, and power flows"),
    EventCode(e.SUPPLY_VOLTAGE, "supply_voltage", "warning", ("mv",), "mains outside 207 V to 253 V (EN 50160)"),
    EventCode(e.METER_FAULT, "meter_fault", "error", ("text",), "the meter is silent or sends broken frames"),
    EventCode(e.LAMP_FAIL_BRIGHT, "lamp_fail_bright", "warning", ("reason",), "the lamp is on because the node cannot know better"),
)
# fmt: on

_BY_ID = {row.id: row for row in CHANNELS}
_BY_NAME = {row.name: row for row in CHANNELS}
_BY_CODE = {row.code: row for row in EVENTS}


def channel(number: int) -> Channel | None:
    """The row of a channel id, or None: a newer node may send ids that this table does not know."""
    return _BY_ID.get(number)


def channel_named(name: str) -> Channel | None:
    """The row of a channel name, or None."""
    return _BY_NAME.get(name)


def event(code: int) -> EventCode | None:
    """The row of an event code, or None."""
    return _BY_CODE.get(code)
