"""Writes docs/images/demo.webp, the README's moving picture, from the video of a demo.

python -m fairmot.demo output=demo
python scripts/demo_animation.py demo
"""

import sys
from pathlib import Path

from PIL import Image

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from fairmot.media.video import open_source

PICTURE = PROJECT / "docs" / "images" / "demo.webp"
_QUALITY = 60


def main() -> None:
    """Take every frame of the folder's video at the video's own speed, again and again."""
    (video,) = (Path(sys.argv[1]) / "tracked").glob("*.mp4")
    source = open_source(str(video))
    assert source.frame_rate is not None, video
    first, *others = (Image.fromarray(picture[..., ::-1]) for picture in source)
    duration_ms = round(1000 / source.frame_rate)
    first.save(PICTURE, save_all=True, append_images=others, duration=duration_ms, loop=0, quality=_QUALITY, method=6)
    print(f"wrote {PICTURE}: {PICTURE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
