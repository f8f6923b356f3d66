"""The launcher: starts, watches and ends the ranks of a training. `python -m train.launch N [table] key=value ...`."""

import os

INHERITED = dict(os.environ)
"""The environment as the user gave it: importing MindSpore adds to os.environ, and ranks must not take that for his."""
