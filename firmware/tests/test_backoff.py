from node.core.backoff import BASE_MS, FIRST_MS, STABLE_MS, Backoff

NODES = 1000
SLOT_MS = 5000
CAP_MS = 300000


class Dice:
    """A small generator: the same numbers on both interpreters."""

    def __init__(self, seed):
        self.state = seed * 2654435761 & 0xFFFFFFFF or 1
        for _ in range(8):
            self.below(2)

    def below(self, bound):
        self.state ^= self.state << 13 & 0xFFFFFFFF
        self.state ^= self.state >> 17
        self.state ^= self.state << 5 & 0xFFFFFFFF
        return self.state % bound


def attempts(seed, down_ms, cost_ms):
    """When one node knocks after the broker vanished at 0 for `down_ms`; a failed attempt takes `cost_ms`."""
    backoff = Backoff(Dice(seed).below)
    backoff.held(3600000)
    now = 0
    found = []
    while not found or found[-1] < down_ms:
        now += backoff.next_ms(CAP_MS)
        found.append(now)
        now += cost_ms
    return found


def peak(times):
    """The most of `times` within any SLOT_MS."""
    times = sorted(times)
    best = first = 0
    for last in range(len(times)):
        while times[last] - times[first] >= SLOT_MS:
            first += 1
        best = max(best, last - first + 1)
    return best


def test_at_most_a_fifth_of_the_fleet_knocks_within_five_seconds_whatever_the_length_of_the_outage():
    for down_s, cost_ms in ((1, 0), (10, 0), (60, 0), (600, 0), (120, 15000)):
        every = []
        arrivals = []
        for seed in range(NODES):
            found = attempts(seed + 1, down_s * 1000, cost_ms)
            every.extend(found)
            arrivals.append(found[-1])
        assert peak(arrivals) <= NODES // 5, (down_s, peak(arrivals))
        assert peak(every) <= NODES // 5, (down_s, peak(every))


def test_every_wait_lies_between_the_base_and_the_cap():
    for cap_ms in (1, BASE_MS, 5000, CAP_MS):
        backoff = Backoff(Dice(3).below)
        waits = [backoff.next_ms(cap_ms) for _ in range(500)]
        assert min(waits) >= BASE_MS
        assert max(waits) <= max(cap_ms, BASE_MS)


def test_waits_grow_while_nothing_works_and_start_anew_after_a_stable_connection():
    backoff = Backoff(lambda bound: bound - 1)
    assert [backoff.next_ms(CAP_MS) for _ in range(4)] == [40000, 120000, 300000, 300000]
    backoff.held(STABLE_MS - 1)
    assert backoff.next_ms(CAP_MS) == CAP_MS
    backoff.held(STABLE_MS)
    assert backoff.next_ms(CAP_MS) == FIRST_MS
