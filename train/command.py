"""The command: python -m train experiment=mot20_finetune."""

import sys
import time

from train.build import build_trainer, open_data
from train.config import TrainConfig
from train.distributed import connect
from train.loop import fit
from train.preflight.run import run_preflight
from train.run_dir import opened_run_dir, record_config
from train.simulate.run import simulate
from train.start import choose_start
from train.summary import summarize_end, summarize_start
from train.sweep import job_of_sweep


def train(config: TrainConfig) -> float | None:
    """Build everything as configured, continue from where the start policy says, and fit.

    Returns:
        The best value of `best_metric`, which a sweep may search for; None where nothing was validated.

    Raises:
        Stopped: asked to by Ctrl-C or SIGTERM; the state is saved.
        FairMOTError: bad data, a refused value, a checkpoint of another run, a disk that is full.
    """
    if config.preflight:
        sys.exit(0 if run_preflight(config) else 1)
    if config.simulate.chip is not None:
        simulate(config)
        return None
    began_at_s = time.perf_counter()
    world = connect(config.device, config.runtime.threads, config.runtime)
    with opened_run_dir(config, world) as run_dir:
        index = open_data(config, world, run_dir)
        trainer = build_trainer(config, world, run_dir, index)
        start = choose_start(config, run_dir, trainer.state, world)
        world.check_identical(trainer.state.common_arrays(), "at start")
        record_config(config, world, run_dir)
        summarize_start(config, world, run_dir, index, trainer, start)
        optimizer = trainer.state.optimizer
        if config.runtime.profile_steps and (alone_ms := world.all_reduce_ms(optimizer.zeros(), optimizer.local)):
            trainer.logger.metrics(trainer.state.progress.step, {"all_reduce_ms": alone_ms})
        status = "FAILED"
        try:
            fit(trainer)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            if world.is_lead:
                summarize_end(config, run_dir, trainer, status, began_at_s)
    return trainer.state.progress.best.get(config.best_metric.value)


def train_job(config: TrainConfig) -> float | None:
    """`train`, or in a sweep one of its jobs."""
    with job_of_sweep(config) as job:
        return train(job)
