"""What the self-check can be told: every key of training, for the step that it measures, and a few of its own."""

from dataclasses import dataclass, field

from train.config import TrainConfig


@dataclass
class SelfcheckOptions:
    """The self-check alone.

    Attributes:
        report: a dry run's report of the same configuration (simulate.report=), to measure kernels and memory against.
        checks: names of the checks to make; empty: all. The report names them.
        timed_steps: steps whose median time counts.
    """

    report: str | None = None
    checks: list[str] = field(default_factory=list)
    timed_steps: int = 10

    def __post_init__(self) -> None:
        if self.timed_steps < 1:
            raise ValueError(f"selfcheck.timed_steps={self.timed_steps}: must be at least 1")


@dataclass
class SelfcheckConfig(TrainConfig):
    """Everything `python -m train.selfcheck` can be told.

    Attributes:
        selfcheck: the self-check alone; all other keys are those of training.
    """

    selfcheck: SelfcheckOptions = field(default_factory=SelfcheckOptions)
