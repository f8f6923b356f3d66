"""Submissions to MOTChallenge: the command python -m fairmot.submit."""
