"""Pictures and videos, in and out; drawing on them."""

RECONNECT_S = 60.0
"""For so long a camera, stream or server that falls silent is tried again, unless the caller says otherwise."""
