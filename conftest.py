"""Property tests have no deadline and may draw slowly: a loaded machine is not a fault of the code."""

from hypothesis import HealthCheck, settings

settings.register_profile("repository", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repository")
