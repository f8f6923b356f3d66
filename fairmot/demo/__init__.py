"""A first look without data or training: a small network that knows drawn people, and a drawn street to track.

`scripts/make_demo.py` trained the network; it is worthless on photographs.
"""

from pathlib import Path
from typing import Any

CHECKPOINT = Path(__file__).with_name("drawn_people.safetensors")
"""The network: for `checkpoint=` of every command, where pictures are drawn by fairmot/data/synthetic."""

RULES: dict[str, Any] = {"match_iou": 0.7, "track_buffer": 90}
"""The tracker's rules for it: at ten frames a second people move further from one frame to the next, and who walks out
of the picture comes back within three seconds."""
