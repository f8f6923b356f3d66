"""Writes docs/configuration.md from the configuration dataclasses and the YAML files: every key of every command.

    python scripts/configuration_page.py

A test compares the page with what this writes.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairmot.cli.command import CONF_DIR
from fairmot.cli.help import EXIT_CODES
from fairmot.cli.keys import Key, all_keys, keys_of
from fairmot.convert.config import ConvertConfig
from fairmot.demo.config import DemoConfig
from fairmot.evaluate.config import EvaluateConfig
from fairmot.export.config import ExportConfig
from fairmot.files import write_atomic
from fairmot.link.config import LinkCommandConfig
from fairmot.pack import PackConfig
from fairmot.prepare.config import PrepareConfig
from fairmot.submit.config import SubmitConfig
from fairmot.track.config import TrackConfig
from fairmot.tune.config import TuneConfig
from train.config import TrainConfig
from train.deliver import DeliverConfig
from train.selfcheck.config import SelfcheckConfig

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

COMMANDS: dict[str, tuple[str, type]] = {
    "demo": ("python -m fairmot.demo", DemoConfig),
    "train": ("python -m train", TrainConfig),
    "prepare": ("python -m fairmot.prepare", PrepareConfig),
    "pack": ("python -m fairmot.pack", PackConfig),
    "track": ("python -m fairmot.track", TrackConfig),
    "evaluate": ("python -m fairmot.evaluate", EvaluateConfig),
    "submit": ("python -m fairmot.submit", SubmitConfig),
    "link": ("python -m fairmot.link", LinkCommandConfig),
    "tune": ("python -m fairmot.tune", TuneConfig),
    "convert": ("python -m fairmot.convert", ConvertConfig),
    "export": ("python -m fairmot.export", ExportConfig),
    "deliver": ("python -m train.deliver", DeliverConfig),
    "selfcheck": ("python -m train.selfcheck", SelfcheckConfig),
}
"""YAML file of conf/ -> command and configuration."""

_INTRODUCTION = """\
# Configuration

<!-- Written by scripts/configuration_page.py from the dataclasses: change those, then run it. -->

Every command takes words of the form `key=value` (Hydra's grammar): `optim.lr=2e-4`, `data.input_size=[320,576]`,
`run_dir=null`; `+data.train.mine=mine.train` adds an entry to a dictionary, `model=hrnet_18` takes a file of
`conf/model/`. Quote what the shell would interpret: `'skip=[hm.2.*]'`. A mistyped key is refused with a suggestion.
Text (`str`) is taken as it stands: `output=2024_05_02`, `'source=视频 (1).mp4'`, `gt=runs/a/optim.lr=0.1,seed=1`; a
leading `~/` is the home folder, and `null` is nothing where nothing is allowed. In lists of text only commas part:
`['a, b',c]` are two. In a sweep (`-m`) commas part a text's values too, unless it is a path that is there.
`--help` shows a command's keys and examples, `--cfg job` the composed configuration.

The defaults below are the dataclasses'; a file of `conf/` that is chosen may set others, and the command line wins over
both. `experiment=` and `debug=` files are applied on top of the groups, in this order.
"""

_EPILOGUE = """\
## Shell completion

```bash
source scripts/completion.bash     # in bash, where `python` is the environment's
python -m train experiment=<TAB>
```

completes keys and groups by asking Hydra, which starts the program, and files behind `key=/`, `key=./` and `key=~/`,
with their names quoted; also after `fairmot-train` and the other installed commands, and after the launcher's words.
Hydra's completion (`python -m train --shell-completion install=bash`) knows `python file.py` and installed commands,
but not `python -m`.

## Hydra plugins

`python -m train -m` trains the jobs of a sweep one after the other. Plugins of Hydra, which are not among this
project's packages, start them otherwise or choose the values:

- `hydra-joblib-launcher` 1.2: jobs at the same time, each in its own process.
  `hydra/launcher=joblib hydra.launcher.n_jobs=2 seed=1,2`
- `hydra-submitit-launcher` 1.2: the same with `hydra/launcher=submitit_local seed=1,2`. As jobs of Slurm:
  `hydra/launcher=submitit_slurm hydra.launcher.partition=debug hydra.launcher.cpus_per_task=1
  hydra.launcher.timeout_min=20 seed=1,2`. What a job prints is in `.submitit/` of the sweep's folder.
- `hydra-optuna-sweeper` 1.3: looks for the best value.
  `hydra/sweeper=optuna hydra.sweeper.direction=maximize 'optim.lr=interval(1e-4,1e-2)'`

A job's objective is its best value of `best_metric`, so validate (`validate_every_epochs`). The plugins were tried with
a stand-in for the training, on Hydra 1.3 and Python 3.11; `submitit_slurm` with two trainings of the quickstart, of two
steps each, by Slurm 22.05 on one host. A job trains on one rank.

## Output

Progress bars are drawn on terminals only; log files and pipes get complete lines, training one line each
`log_every_steps` steps. The one thing in colour is the pre-flight's `pass`, `warn` and `fail`, on terminals; `NO_COLOR`
takes it away. With `NO_COLOR` or `CI` set, training prints lines on terminals too. Errors go to stderr and begin with
`error: `.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [_INTRODUCTION]
    described: set[type] = set()
    for config_name, (command, schema) in COMMANDS.items():
        parts += _command(config_name, command, schema, described)
    parts += ["## Files of conf/\n", *_files()]
    rows = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    parts += [f"## Exit codes\n\n| code | meaning |\n|---|---|\n{rows}", _EPILOGUE]
    return "\n".join(parts)


def _command(config_name: str, command: str, schema: type, described: set[type]) -> Iterator[str]:
    """A command's section; a group that an earlier command has described is only named."""
    composed = OmegaConf.load(CONF_DIR / f"{config_name}.yaml")
    assert isinstance(composed, DictConfig)
    yield f"## {command}\n\n{' '.join(str(composed.hydra.help.header).split())}\n"
    known = []
    inherited = set()
    for other_command, other in COMMANDS.values():
        if other in schema.__bases__:
            yield f"Every key of `{other_command}`, with defaults of its own in `conf/{config_name}.yaml`, and:\n"
            inherited = {key.name for key in keys_of(other)}
    if own := [key for key in keys_of(schema) if key.group is None and key.name not in inherited]:
        yield _table(own)
    for group, keys in all_keys(schema):
        assert group.group is not None
        if group.group in described:
            known.append(f"`{group.name}.*`")
            continue
        described.add(group.group)
        if values := [key for key in keys if key.group is None]:
            yield f"### {command.removeprefix('python -m ')}: {group.name}.*\n\n{group.meaning}\n"
            yield _table(values)
    if known:
        yield f"{', '.join(known)}: as above.\n"


def _table(keys: list[Key]) -> str:
    rows = [
        f"| `{key.name}` | {_cell(key.kind)} | {'required' if key.default is None else f'`{_cell(key.default)}`'} | "
        f"{_cell(key.meaning)} |\n"
        for key in keys
    ]
    return "".join(["| key | values | default | meaning |\n|---|---|---|---|\n", *rows])


def _cell(text: str) -> str:
    """Text that may stand in a table and holds no HTML."""
    return text.replace("|", "\\|").replace("<", "\\<")


def _files() -> Iterator[str]:
    """A table a group: its files and what their first comment says."""
    for folder in sorted(path for path in CONF_DIR.iterdir() if path.is_dir()):
        rows = "".join(
            f"| `{folder.name}={path.stem}` | {_cell(_comment(path))} |\n" for path in sorted(folder.glob("*.yaml"))
        )
        yield f"| conf/{folder.name}/ | |\n|---|---|\n{rows}"


def _comment(path: Path) -> str:
    """The first lines of a YAML file that are comments, but for Hydra's directive."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


if __name__ == "__main__":
    write_atomic(PAGE, page())
    print(f"wrote {PAGE}")
