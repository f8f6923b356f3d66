"""Drawn people who walk: a data set that needs no download."""
