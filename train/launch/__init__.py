"""The launcher: starts, watches and ends the ranks of a training. `python -m train.launch N [table] key=value ...`."""
