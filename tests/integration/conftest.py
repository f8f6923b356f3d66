"""Trainings in these tests use the backbone of one convolution."""

from one_convolution import one_convolution  # noqa: F401
