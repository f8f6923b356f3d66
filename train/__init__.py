"""Training: what dies when training ends. `python -m train experiment=...` is the command."""
