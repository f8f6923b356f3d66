"""Scoring tracks: the command python -m fairmot.evaluate."""
