"""Ctrl-C and SIGTERM: saved after the running step, and the same command goes on as if nothing had happened."""

import signal
import time

import pytest
from blob_sequences import write_sequence
from small_run import compose_config, curves, overrides, start_training, write_pictures

from fairmot.weights.checkpoint import read_checkpoint
from train.command import train
from train.report.record import read_records
from train.stop import StopRequest


def test_a_first_request_is_noticed_and_a_later_one_interrupts(monkeypatch):
    before = signal.getsignal(signal.SIGINT)  # a background job ignores it
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # a scheduler and a launcher may both send one
        assert stop.made
        monkeypatch.setattr("train.stop._ONE_REQUEST_S", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with StopRequest() as stop, pytest.raises(KeyboardInterrupt), stop.at_once():
        signal.raise_signal(signal.SIGTERM)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), stop.at_once():
            pytest.fail("a request made before is heard at the door")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_saves_says_so_and_continues(tmp_path, number):
    write_pictures(tmp_path)
    run_dir = tmp_path / "run"
    words = overrides(tmp_path, run_dir, epochs=1000, save_every_steps=10_000)
    process = start_training(words)
    while not (list(run_dir.glob("*.jsonl")) and curves(run_dir).get("loss")):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    checkpoint = read_checkpoint(run_dir)
    step = checkpoint.manifest["progress"]["step"]
    assert step == max(curves(run_dir)["loss"])
    assert f"stopped after step {step}, saved; the same command continues" in output
    assert [record["status"] for record, _ in read_records(run_dir) if record["kind"] == "end"] == ["KILLED"]


@pytest.mark.slow
def test_a_run_whose_epoch_was_saved_but_not_validated_is_validated_first(tmp_path):
    """As after a stop while the validation sequences were tracked."""
    write_pictures(tmp_path)
    write_sequence(tmp_path / "val" / "walk", 4)
    words = overrides(
        tmp_path,
        tmp_path / "run",
        data__validation="[val/*]",
        tracker__conf_thres=0.0,
        validate_every_epochs=1,
        epochs=1,
    )

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.validate.Validator.run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(compose_config(words))
    progress = read_checkpoint(tmp_path / "run").manifest["progress"]
    assert (progress["epoch"], progress["step"], progress["validated_step"]) == (1, 5, 0)
    train(compose_config(words))
    progress = read_checkpoint(tmp_path / "run").manifest["progress"]
    assert (progress["epoch"], progress["step"], progress["validated_step"]) == (1, 5, 5)
    assert progress["best"]
