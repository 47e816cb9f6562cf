"""Settings of all tests."""

from hypothesis import settings

# A deadline on one example measures the machine, not the code: two cores shared by eight jobs break any.
settings.register_profile("tagtide", deadline=None)
settings.load_profile("tagtide")
