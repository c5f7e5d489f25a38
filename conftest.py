"""What holds for every test: property tests have no deadline, and what takes long begins first."""

import os

import pytest
from hypothesis import HealthCheck, settings

# A loaded machine is not a fault of the code. CI draws the same examples each time, everybody else new ones.
settings.register_profile(
    "repository", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("repository")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first, so that several workers end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
