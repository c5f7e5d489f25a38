"""The Wi-Fi station: what it takes to be connected, and what the driver says when it is not."""

from tools.virtual_board.device.radio import BEACON_TIMEOUT, CONNECTING, GOT_IP, IDLE, Radio

NETWORKS = {"lab": "secret", "open": ""}


class Air:
    """A radio and a clock by hand."""

    def __init__(self, networks=None, seed=1):
        self.now = 0
        self.radio = Radio(networks, ("127.0.0.1", 53), lambda: self.now, seed)

    def wait(self, until, limit=60000):
        """Milliseconds until `until()` holds."""
        start = self.now
        while not until():
            self.now += 50
            assert self.now - start < limit
        return self.now - start


def joined(networks, seed=1):
    air = Air(networks, seed)
    air.radio.switch(True)
    air.radio.join("lab", "secret")
    air.wait(air.radio.joined)
    return air


ATTEMPTS = (  # network, key, how it ends
    ("lab", "secret", GOT_IP),
    ("open", "", GOT_IP),
    ("bal", "secret", 201),
    ("lab", "Secret", 202),
    ("lab", "", 210),
)


def test_how_an_attempt_ends():
    for ssid, key, status in ATTEMPTS:
        air = Air(NETWORKS)
        air.radio.switch(True)
        assert air.radio.status() == IDLE
        air.radio.reconnects = 0
        air.radio.join(ssid, key)
        assert air.radio.status() == CONNECTING
        air.wait(lambda air=air: air.radio.status() != CONNECTING)
        assert air.radio.status() == status, (ssid, key)
        assert air.radio.joined() is (status == GOT_IP)


def test_connecting_takes_as_long_as_on_a_board():
    cold, warm = [], []
    for seed in range(50):
        air = Air(NETWORKS, seed)
        air.radio.switch(True)
        for times in (cold, warm):
            air.radio.join("lab", "secret")
            times.append(air.wait(air.radio.joined))
            air.radio.leave()
    assert 4000 <= min(cold) <= max(cold) <= 4550
    assert 800 <= min(warm) <= max(warm) <= 1350


def test_a_network_that_vanishes_is_missed_after_a_while():
    air = joined(NETWORKS)
    air.radio.air({})
    assert air.radio.joined()
    assert not air.radio.reachable()
    air.wait(lambda: not air.radio.joined())
    assert air.radio.status() == BEACON_TIMEOUT


def test_one_that_comes_back_in_time_was_never_missed():
    air = joined(NETWORKS)
    air.radio.air({})
    air.now += 3000
    air.radio.air(NETWORKS)
    air.now += 60000
    assert air.radio.reachable()


def test_the_driver_tries_again_by_itself_unless_told_not_to():
    air = joined(NETWORKS)
    air.radio.air({})
    air.now += 20000
    assert air.radio.status() == 201
    air.radio.air(NETWORKS)
    air.wait(air.radio.joined)
    air.radio.reconnects = 0
    air.radio.air({})
    air.now += 20000
    assert air.radio.status() == BEACON_TIMEOUT
    air.radio.air(NETWORKS)
    air.now += 60000
    assert not air.radio.joined()


def test_switched_off_it_has_no_network():
    air = joined(None)
    air.radio.switch(False)
    assert not air.radio.joined()
    air.radio.switch(True)
    assert air.radio.status() == IDLE


def test_it_talks_for_a_while_after_a_socket_was_opened():
    air = Air()
    assert not air.radio.talks()
    air.radio.opened()
    assert air.radio.talks()
    air.now += 30000
    assert not air.radio.talks()
