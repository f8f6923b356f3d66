"""Weights of PyTorch and of older checkpoints into ours. `python -m fairmot.convert` is the command."""
