"""Tracking one source: the command python -m fairmot.track."""
