"""What the launcher can be told: its own words, then the overrides of the training."""

from dataclasses import dataclass
from pathlib import Path

from fairmot.cli.command import compose, refuse_habits
from fairmot.cli.help import group_help
from fairmot.cli.mistakes import line_to_type
from fairmot.errors import ConfigError
from train.config import TrainConfig
from train.launch.worker import SELFCHECK
from train.selfcheck.config import SelfcheckConfig

_DRY_RUN = "--dry-run"
_USAGE = """usage: bash scripts/run_distribute.sh N [rank_table.json] [--selfcheck] [--dry-run] key=value ...
  N                number of ranks on all hosts
  rank_table.json  the hosts and their devices; without it all ranks are on this host, in the pods of an
                   AscendJob, or where srun starts this
  --selfcheck      python -m train.selfcheck instead: what the devices compute, how fast ranks exchange gradients
  --dry-run        print every process's environment and command, start nothing
  key=value        overrides of python -m train, such as experiment=mot20_finetune; --help GROUP lists a group's keys
exit codes: 0 done, 1 failed, 2 refused arguments or configuration, 130 ended by a signal
environment: LAUNCHER=msrun|rank_table, FAIRMOT_SERVER_ID, MASTER_ADDR, MASTER_PORT (see docs/distributed.md)
examples:
  bash scripts/run_distribute.sh 2 experiment=quickstart                              two ranks on this machine's CPU
  bash scripts/run_distribute.sh 8 experiment=mot20_finetune device=ascend            this host's eight NPUs
  bash scripts/run_distribute.sh 16 rank_table.json run_dir=/shared/a device=ascend   on each of two hosts"""


@dataclass(frozen=True)
class Arguments:
    """The command line.

    Attributes:
        num_ranks: of all hosts.
        table: path of the rank table.
        dry_run: only print.
        words: overrides of `python -m train`.
        selfcheck: the ranks make the self-check instead of training.
    """

    num_ranks: int
    table: Path | None
    dry_run: bool
    words: list[str]
    selfcheck: bool = False

    def configuration(self) -> TrainConfig:
        """What the overrides make of the training, or of the self-check.

        Raises:
            ConfigError: one is refused, or a value is missing.
        """
        if self.selfcheck:
            return compose(self.words, SelfcheckConfig, "selfcheck")
        return compose(self.words, TrainConfig, "train")


def usage(words: list[str]) -> str:
    """The text for --help: of the launcher, or of the groups of keys that are named beside it.

    Raises:
        ConfigError: a name is none of a group.
    """
    groups = [word for word in words if not word.startswith("-") and "=" not in word and not word.isdecimal()]
    return group_help(_schema(words), groups) if groups else _USAGE


def parse(words: list[str]) -> Arguments:
    """Understand the command line.

    Raises:
        ConfigError: it is not of the form that the usage text shows.
    """
    own = [word for word in words if word in (_DRY_RUN, SELFCHECK)]
    others = [word for word in words if word not in own]
    if not others or not others[0].isdecimal() or int(others[0]) < 1:
        example = line_to_type(["2", *(word for word in words if "=" in word or word in own)])
        raise ConfigError(f"the first word must be the number of ranks, such as {example}")
    num_ranks, rest = int(others[0]), others[1:]
    refuse_habits(rest, _schema(words), [others[0], *own])
    table = Path(rest.pop(0)) if rest and "=" not in rest[0] and not rest[0].startswith(("-", "~")) else None
    for word in rest:
        if "=" not in word and not word.startswith("~"):
            raise ConfigError(f"{word}: not of the form key=value; --help shows the form of the whole line")
    return Arguments(num_ranks, table, _DRY_RUN in own, rest, SELFCHECK in own)


def _schema(words: list[str]) -> type[TrainConfig]:
    return SelfcheckConfig if SELFCHECK in words else TrainConfig
