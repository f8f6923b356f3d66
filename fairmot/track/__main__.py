"""Track the people of a video: python -m fairmot.track source=video.mp4 checkpoint=runs/mot20 output=tracked.

With detections= in place of checkpoint= there is no network: boxes, and embeddings where they were stored, are read.
"""

from fairmot.cli.command import run_command, when_called
from fairmot.track.config import TrackConfig

if __name__ == "__main__":
    run_command(when_called("fairmot.track.command:track_and_print"), TrackConfig, "track")
