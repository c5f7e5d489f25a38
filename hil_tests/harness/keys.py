"""Under which keys hooks and fixtures find what they share: on the config, and on each test."""

import pytest

from fleet.hil import results
from hil_tests.harness.assign import Seat
from hil_tests.harness.console_log import ConsoleLog
from hil_tests.harness.session import Session

SESSION = pytest.StashKey[Session]()  # of the config
SEAT = pytest.StashKey[Seat]()
RECORD = pytest.StashKey[results.Test]()
CONSOLE = pytest.StashKey[ConsoleLog]()
ENDED = pytest.StashKey[dict[str, str]]()  # outcome, message, detail as far as they are known
QUARANTINED = pytest.StashKey[bool]()  # the board of the test
