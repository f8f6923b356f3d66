"""Trainings that are looked at in a browser use the backbone of one convolution, as the integration tests do."""

from one_convolution import one_convolution  # noqa: F401
