"""The world that the simulated sensors stand in: weather, traffic, mains. One seed, one world, at any speed.

Every quantity is a pure function of (seed, place, time), so nothing has to tick, a clock may jump, and two processes
see the same air. Runs on CPython and MicroPython; both compute with the same doubles on the unix port.
"""

import math

AIR_MS = 10000  # weather is not computed more often than it changes
_DAY = 86400
_YEAR_DAYS = 365.2425
_MASK = 0xFFFFFFFF


def hash32(*parts: int) -> int:
    """A well-mixed 32-bit number from integers (after Murmur's finaliser)."""
    h = 0x9E3779B9
    for part in parts:
        h ^= part & _MASK
        h = ((h ^ h >> 16) * 0x85EBCA6B) & _MASK
        h = ((h ^ h >> 13) * 0xC2B2AE35) & _MASK
        h = (h ^ h >> 16) + 0x165667B1 & _MASK
    return h


def text_seed(text: str) -> int:
    """A number for a name, the same on both interpreters."""
    return hash32(*[ord(char) for char in text])


def _bump(hour: float, centre: float, width: float) -> float:
    """1 at `centre`, falling off within `width` hours, on the 24-hour circle."""
    away = (hour - centre + 12) % 24 - 12
    return math.exp(-away * away / (2 * width * width))


class Air:
    """The air at one instant, in units of daily use."""

    def __init__(self, temperature: float, humidity: float, pressure: float, pm25: float, coarse: float) -> None:
        self.temperature = temperature  # degree Celsius
        self.humidity = humidity  # % relative
        self.pressure = pressure  # Pa at the station
        self.pm25 = pm25  # ug/m3
        self.pm1 = pm25 * 0.72
        self.pm10 = pm25 + coarse
        self.pm4 = pm25 + coarse * 0.6
        self.co2 = 0.0  # ppm
        self.voc = 0.0  # index
        self.nox = 0.0  # index


class World:
    """The world of `seed` as seen from `place`; `epoch_s` is the UTC time at which `now_ms` is 0."""

    def __init__(self, seed: int = 1, place: str = "", epoch_s: int = 1767225600) -> None:
        self.epoch_s = epoch_s
        self._seed = seed
        self._place = text_seed(place)
        self._air_ms = -1
        self._air = Air(0.0, 0.0, 0.0, 0.0, 0.0)

    def utc_s(self, now_ms: int) -> int:
        """True UTC seconds, whatever the node believes."""
        return self.epoch_s + now_ms // 1000

    def noise(self, name: int, now_ms: int, period_s: int, local: bool = True) -> float:
        """Smooth noise within -1 .. 1 whose hills are about `period_s` wide; not `local`: the same at every place."""
        period = period_s * 1000
        total = self.epoch_s * 1000 + now_ms
        step = total // period
        part = (total % period) / period
        place = self._place if local else 0
        a = hash32(self._seed, place, name, step) / 0x7FFFFFFF - 1.0
        b = hash32(self._seed, place, name, step + 1) / 0x7FFFFFFF - 1.0
        return a + (b - a) * part * part * (3 - 2 * part)

    def air(self, now_ms: int) -> Air:
        """The air outside; it changes every AIR_MS."""
        now_ms -= now_ms % AIR_MS
        if now_ms != self._air_ms:
            self._air_ms = now_ms
            self._air = self._air_at(now_ms)
        return self._air

    def _air_at(self, now_ms: int) -> Air:
        hour = (self.utc_s(now_ms) % _DAY) / 3600 + 0.6  # local solar time of Stuttgart
        traffic = self.traffic(now_ms, hour)
        temperature = self._temperature(now_ms, hour)
        dew = temperature - 6 - 5 * self.noise(2, now_ms, 14 * 3600, False) - 4 * _bump(hour, 14, 4)
        humidity = 100 * math.exp(17.62 * dew / (243.12 + dew) - 17.62 * temperature / (243.12 + temperature))
        calm = 1 + 0.5 * self.noise(5, now_ms, 30 * 3600, False)
        pm25 = 9 * calm + 7 * traffic * calm + 3 * _bump(hour, 20, 2) + 1.5 * self.noise(6, now_ms, 600)
        coarse = 5 + 6 * traffic + 1.5 * self.noise(7, now_ms, 900)
        pressure = 98500 + 900 * self.noise(4, now_ms, 50 * 3600, False)
        air = Air(temperature, min(max(humidity, 12.0), 99.0), pressure, max(pm25, 0.6), max(coarse, 0.5))
        air.co2 = 425 + 25 * _bump(hour, 4, 4) * calm + 18 * traffic + 4 * self.noise(8, now_ms, 900)
        air.voc = 100 + 40 * self.noise(9, now_ms, 5400) + 30 * traffic
        air.nox = 1 + 14 * traffic + max(0.0, 4 * self.noise(10, now_ms, 1800))
        return air

    def traffic(self, now_ms: int, hour: float) -> float:
        """0 .. about 1: two rush hours on working days, a low afternoon hill at weekends."""
        day = (self.utc_s(now_ms) // _DAY + 3) % 7  # 0 = Monday
        if day >= 5:
            return 0.35 * _bump(hour, 15, 4)
        return _bump(hour, 7.5, 1.2) + 0.9 * _bump(hour, 17.3, 1.8) + 0.3 * _bump(hour, 12.5, 3)

    def _temperature(self, now_ms: int, hour: float) -> float:
        days = self.utc_s(now_ms) / _DAY
        season = -math.cos(2 * math.pi * (days - 15) / _YEAR_DAYS)
        daily = math.cos(2 * math.pi * (hour - 15) / 24)
        weather = 3 * self.noise(1, now_ms, 40 * 3600, False) + 0.3 * self.noise(3, now_ms, 1200)
        return 10 + 9 * season + (3 + 2 * season) * daily + weather

    def mains_v(self, now_ms: int) -> float:
        """Voltage of the lamp's supply: it sags a little while the street is lit."""
        hour = (self.utc_s(now_ms) % _DAY) / 3600
        return 230.5 - 2 * _bump(hour, 19, 3) + 2.5 * self.noise(20, now_ms, 1800) + 0.4 * self.noise(21, now_ms, 20)
