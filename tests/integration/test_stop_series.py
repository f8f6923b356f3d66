"""SIGTERM at drawn moments of epochs of one step, where a program spends most of its time between two epochs."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from small_run import overrides, write_pictures

from fairmot.weights.checkpoint import read_checkpoint
from train.report.record import read_metrics

STOPS = int(os.environ.get("FAIRMOT_STOPS", "6"))

# The command's own way from the signal to the exit code, again and again around one trainer: importing and compiling
# anew each time would take half a minute a stop.
COMMANDS = """
import sys
from fairmot.cli.command import run_command
from fairmot.model.network import BACKBONES
from one_convolution import OneConvolution
from train.build import build_trainer, open_data
from train.config import TrainConfig
from train.distributed import connect
from train.loop import fit
from train.run_dir import make_run_dir
from train.saver import Saver

BACKBONES["one_convolution"] = lambda config: OneConvolution()
trainers = []

def train(config):
    world = connect(config.device)
    run_dir = make_run_dir(config, world)
    trainers[:] = trainers or [build_trainer(config, world, run_dir, open_data(config, world, run_dir))]
    trainers[0].saver = Saver(world, run_dir, trainers[0].state, "", keep=3)
    fit(trainers[0])

stops, words = int(sys.argv.pop(1)), list(sys.argv)
for _ in range(stops):
    sys.argv[:] = words
    code = 0
    try:
        run_command(train, TrainConfig, "train")
    except SystemExit as leaving:
        code = leaving.code
    print("exit code", code, file=sys.stderr, flush=True)
"""


def read_until(process: subprocess.Popen, beginning: str) -> list[str]:
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(beginning):
            return lines
    pytest.fail(f"ended with {process.wait()} before it said {beginning!r}: {''.join(lines[-20:])}")


@pytest.mark.slow
def test_every_stop_is_heard_and_saved(tmp_path):
    write_pictures(tmp_path, count=4)
    run_dir, draw = tmp_path / "run", random.Random(20261129)
    words = overrides(tmp_path, run_dir, batch_size_per_rank=4, epochs=100_000, save_every_steps=100_000)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", COMMANDS, str(STOPS), *words]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for stop in range(STOPS):
                read_until(process, "step ")
                time.sleep(draw.random() * 0.4)
                process.send_signal(signal.SIGTERM)  # from the parent, as a launcher does
                said = read_until(process, "exit code ")
                assert said[-1] == "exit code 130\n", f"stop {stop}: {''.join(said)}"
                saved = read_checkpoint(run_dir).manifest["progress"]["step"]
                assert any(f"stopped after step {saved}, saved" in line for line in said), f"stop {stop}: {said}"
                assert saved == read_metrics(run_dir)["loss"][-1][0]
        finally:
            process.kill()
