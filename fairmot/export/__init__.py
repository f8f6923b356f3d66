"""A trained network as ONNX or MINDIR. `python -m fairmot.export` is the command."""
