"""MOT15 (2D MOT 2015): people only, so ground truth has no class column; some mirrors lack seqinfo.ini.

Source of the rule (rows with a flag other than 0 are people): the original's label script and motchallenge.net.
"""

from typing import Any

from fairmot.data.prepare.config import PrepareConfig
from fairmot.data.prepare.motchallenge import MotRules, prepare_mot
from fairmot.data.prepare.sequences import find_sequences

_RULES = MotRules("mot15", columns=("frame", "id", "x", "y", "w", "h", "flag", "x_world", "y_world", "z_world"))


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare MOT15; as `prepare_mot`."""
    return prepare_mot(config, _RULES, find_sequences(config.root))
