"""Pictures and videos, in and out; drawing on them."""
