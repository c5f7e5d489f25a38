"""The supervisor: who is started again and when, whether the watchdog is fed, when the node must restart."""

from node.core.health import Lag
from node.core.supervisor import Supervisor

BUDGET = 30_000


class Play:
    """One task under supervision, second by second."""

    def __init__(self, mandatory=True):
        self.now = 0
        self.watch = Supervisor()
        self.watch.add("task", BUDGET, mandatory, 0)
        self.starts = []

    def second(self, beats=True, fails=False):
        for name in self.watch.due(self.now):
            self.watch.started(name, self.now)
            self.starts.append(self.now)
        if self.starts and beats and not self.waits():
            self.watch.beat("task", self.now)
        if fails and not self.waits():
            self.watch.ended("task", self.now)
        self.now += 1000

    def waits(self):
        return not self.watch._tasks["task"].running

    def seconds(self, count, **how):
        for _ in range(count):
            self.second(**how)


def test_a_task_that_beats_is_left_alone():
    play = Play()
    play.seconds(600)
    assert play.starts == [0]
    assert play.watch.may_feed(play.now)
    assert play.watch.all_beat(play.now)
    assert play.watch.silent(play.now) == []
    assert play.watch.restarts == 0


def test_a_silent_task_is_named_and_the_watchdog_starves():
    play = Play()
    play.seconds(10)
    play.seconds(30, beats=False)
    assert play.watch.silent(play.now) == ["task"]
    assert not play.watch.may_feed(play.now)
    assert not play.watch.all_beat(play.now)


def test_a_task_that_is_not_mandatory_does_not_starve_the_watchdog():
    play = Play(mandatory=False)
    play.seconds(100, beats=False)
    assert play.watch.silent(play.now) == ["task"]
    assert play.watch.may_feed(play.now)
    play.watch.ended("task", play.now)
    play.second(beats=False)
    assert play.watch.silent(play.now) == []


def test_restarts_back_off():
    play = Play(mandatory=False)
    play.seconds(400, fails=True)
    waits = [play.starts[at + 1] - play.starts[at] for at in range(len(play.starts) - 1)]
    assert waits == [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000, 60000, 60000][: len(waits)]
    assert len(waits) >= 9


def test_a_mandatory_task_comes_back_within_its_budget():
    play = Play()
    play.seconds(100, fails=True)
    waits = [play.starts[at + 1] - play.starts[at] for at in range(len(play.starts) - 1)]
    assert max(waits) <= BUDGET // 3
    assert play.watch.may_feed(play.now)


def test_starting_again_and_again_without_a_beat_proves_nothing():
    play = Play()
    play.seconds(40, beats=False, fails=True)
    assert len(play.starts) > 3
    assert not play.watch.may_feed(play.now)


def test_a_mandatory_task_that_keeps_failing_is_lost():
    play = Play()
    for count in range(8):
        play.watch.ended("task", count)
        assert play.watch.lost() is None
    play.watch.ended("task", 9)
    assert play.watch.lost() == "task"
    other = Play(mandatory=False)
    for count in range(50):
        other.watch.ended("task", count)
    assert other.watch.lost() is None


def test_a_long_run_makes_good_for_failures_before_it():
    play = Play()
    for count in range(8):
        play.watch.ended("task", count)
    play.watch.started("task", 1000)
    play.watch.ended("task", 400_000)
    assert play.watch.lost() is None
    play.watch.started("task", 401_000)
    assert play.watch.ended("task", 401_001) == 2000


def test_a_task_that_has_not_beaten_since_its_restart_does_not_count_as_working():
    play = Play()
    play.seconds(5)
    play.watch.ended("task", play.now)
    assert not play.watch.all_beat(play.now)
    play.seconds(3, beats=False)
    assert not play.watch.all_beat(play.now)
    play.second()
    assert play.watch.all_beat(play.now)


def test_the_lag_is_the_upper_edge_of_the_95th_percentile():
    rows = {
        "one value": ([7], 10),
        "all quick": ([0] * 100, 1),
        "one of twenty is slow": ([0] * 19 + [300], 1),
        "two of twenty are slow": ([0] * 18 + [300] * 2, 500),
        "slower than the scale": ([99_999], 10_000),
    }
    for sentence, row in rows.items():
        lag = Lag()
        for value in row[0]:
            lag.add(value)
        assert lag.p95_ms() == row[1], sentence
    assert Lag().p95_ms() is None


def test_the_lag_forgets():
    lag = Lag()
    for _ in range(1000):
        lag.add(5000)
    for _ in range(20_000):
        lag.add(1)
    assert lag.p95_ms() == 1
