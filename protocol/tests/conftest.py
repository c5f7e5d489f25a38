"""Property tests have no deadline: a loaded machine is not a fault of the contract."""

from hypothesis import settings

settings.register_profile("repository", deadline=None)
settings.load_profile("repository")
