"""The command: refusals, what stays when a check breaks off, the report, real runs on this CPU and simulated."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fairmot.cli.command import compose
from fairmot.errors import ConfigError, FairMOTError
from train.distributed import ALONE, World
from train.preflight.finding import failed
from train.selfcheck import command, versions
from train.selfcheck.check import Check, Measurement, Session, Verdict, not_applicable
from train.selfcheck.config import SelfcheckConfig
from train.selfcheck.report import Report, as_line
from train.selfcheck.run import CHECKS, chosen, run_checks
from train.simulate.config import Chip
from train.simulate.run import environment_of_child
from train.simulate.stand_ins import cann_paths

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def config():
    return compose(["device=cpu"], SelfcheckConfig, "selfcheck")


def broken(_):
    raise RuntimeError("Ascend says no\nand much more")


FINE = Check("fine", "nothing", lambda _: Measurement(0.5, 1.0, "of | all", "all is well", {"a": np.nan}))
BAD = Check("bad", "it is bad: mend it", lambda _: Measurement(2.0, 1.0, "of all", "too much"))
BREAKS = Check("breaks", "it is broken: mend it", broken)
ELSEWHERE = Check("elsewhere", "nothing", lambda _: not_applicable("one rank"))


def report_of(config, *checks, world=ALONE):
    report = Report(Session(config, world), ["python", "-m", "train.selfcheck", "run_dir=a b"])
    report.results = list(run_checks(report.session, checks))
    return report


def test_a_check_that_breaks_off_does_not_hide_the_others(config, capsys):
    report = report_of(config, BREAKS, BAD, FINE, ELSEWHERE)
    verdicts = [result.verdict for result in report.results]
    assert verdicts == [Verdict.error, Verdict.failed, Verdict.passed, Verdict.skipped]
    assert not report.is_good
    assert report_of(config, FINE, ELSEWHERE).is_good
    assert report.results[0].measurement.detail.startswith("RuntimeError: Ascend says no (")
    assert "Traceback" in capsys.readouterr().err
    assert "it is bad: mend it" in as_line(report.results[1])
    assert as_line(report.results[2]).split()[0] == "passed"


def test_the_report_says_what_was_measured_against_what(config, tmp_path):
    report = report_of(config, BAD, FINE)
    report.write(tmp_path)
    written = json.loads((tmp_path / "selfcheck.json").read_text())
    assert (written["good"], written["ranks"], written["device"]) == (False, 1, "cpu")
    bad, fine = written["checks"]
    assert (bad["name"], bad["verdict"], bad["value"], bad["tolerance"], bad["unit"]) == (
        *("bad", "FAILED", 2.0, 1.0, "of all"),
    )
    assert bad["failed_on_ranks"] == [0]
    assert fine["values"] == {"a": None}
    text = (tmp_path / "selfcheck.md").read_text()
    assert text.startswith("# Self-check: NOT GOOD\n\n`python -m train.selfcheck 'run_dir=a b'`\n")
    assert "| bad | FAILED | 2 (1) of all | too much |" in text
    assert "**bad**: it is bad: mend it." in text
    assert "batch_size_per_rank: 2" in text


def test_a_crash_leaves_what_was_found_before(config, tmp_path):
    report = Report(Session(config, ALONE), [], list(run_checks(Session(config, ALONE), (FINE,))), running="bad")
    report.write(tmp_path)
    assert not report.is_good
    assert "# Self-check: NOT FINISHED: ended in check bad" in (tmp_path / "selfcheck.md").read_text()


class OfRanks(World):
    """Rank 0 of three; the others' severities and values are given."""

    def __init__(self, *others):
        super().__init__(rank=0, size=3)
        object.__setattr__(self, "others", others)

    def gather(self, numbers):
        return np.array([numbers, *self.others], np.float32)


class Gone(World):
    def gather(self, numbers):
        raise RuntimeError("the device is lost")


def test_what_failed_on_another_rank_fails(config):
    (result,) = run_checks(Session(config, OfRanks((2, 0.7), (3, 5.0))), (FINE,))
    assert (result.verdict, result.worst, result.ranks) == (Verdict.failed, 5.0, (2,))
    assert "ranks 2; rank 0: all is well" in as_line(result)
    (result,) = run_checks(Session(config, OfRanks((4, np.nan), (2, 0.2))), (FINE,))
    assert (result.verdict, result.worst, result.ranks) == (Verdict.error, 0.5, (1,))


def test_ranks_that_do_not_answer_are_an_error_of_each_check(config):
    results = list(run_checks(Session(config, Gone(0, 2)), (FINE, ELSEWHERE)))
    assert [result.verdict for result in results] == [Verdict.error, Verdict.error]
    assert "the device is lost" in results[0].measurement.detail


def test_versions_outside_the_declared_ranges_fail(config, monkeypatch):
    session = Session(config, ALONE)
    assert versions.measure_versions(session).verdict is Verdict.passed
    monkeypatch.setattr(versions, "check_versions", lambda: failed("numpy 2.0 is not <2"))
    found = versions.measure_versions(session)
    assert found.verdict is Verdict.failed
    assert "MindSpore 2." in found.detail and "FAULT numpy 2.0 is not <2" in found.detail


def test_checks_are_chosen_by_name():
    assert chosen([]) == CHECKS
    assert [check.name for check in chosen(["overflow", "losses"])] == ["losses", "overflow"]
    with pytest.raises(ConfigError, match="selfcheck.checks: no check 'loss'; there are: versions, deform_layer"):
        chosen(["loss"])


def test_a_report_that_is_none_is_refused(tmp_path):
    path = tmp_path / "report.json"
    with pytest.raises(ConfigError, match=r"report.json: no report of a dry run \(No such file"):
        command._planned(str(path))
    planned = {"identities": 9, "objects": 5, "ranks": 1, "parameter_bytes": 80, "kernels_per_step": {"total": 7}}
    planned |= {"peak_gb_with_fragments": None, "chip": "910b"}
    for document, why in (
        ([], "should be an object"),
        ({"ranks": 1}, "identities: is missing; objects: is missing; .*"),
        ({**planned, "ranks": "1"}, "ranks: Input should be a valid integer"),
        ({**planned, "kernels_per_step": {}}, "kernels_per_step: total is missing"),
    ):
        path.write_text(json.dumps(document))
        with pytest.raises(ConfigError, match=rf"no report of a dry run \(.*{why}\); .*simulate.chip=910b"):
            command._planned(str(path))
    path.write_text(json.dumps(planned))
    assert command._planned(str(path)) == planned


def test_a_mistyped_key_is_refused_with_a_suggestion():
    with pytest.raises(ConfigError, match=r"unknown key 'selfcheck.reprot': did you mean 'selfcheck.report'"):
        compose(["selfcheck.reprot=a"], SelfcheckConfig, "selfcheck")
    with pytest.raises(ConfigError, match="selfcheck.timed_steps=0: must be at least 1"):
        compose(["selfcheck.timed_steps=0"], SelfcheckConfig, "selfcheck")


def test_a_run_that_fails_says_which_checks(config, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "chosen", lambda names: (FINE, BAD))
    monkeypatch.setattr(command, "connect", lambda *_: ALONE)
    monkeypatch.setattr(config, "run_dir", str(tmp_path))
    with pytest.raises(FairMOTError, match="^1 of 2 checks failed: bad$"):
        command.selfcheck(config)
    assert f"report: {tmp_path}/selfcheck.json and {tmp_path}/selfcheck.md" in capsys.readouterr().out


def run_command(folder, *words, environment=None):
    command = [sys.executable, "-m", "train.selfcheck", "run_dir=run", "data.input_size=[64,96]", *words]
    environment = (environment or dict(os.environ)) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    report = folder / "run" / "selfcheck.json"
    return done.returncode, done.stdout, json.loads(report.read_text()) if report.exists() else None


@pytest.mark.slow
def test_the_command_on_this_cpu(tmp_path):
    """The narrow network's step compiles and is checked; 10 to 15 s on an idle machine."""
    words = ["device=cpu", "selfcheck.checks=[versions,losses,repeat,overflow,step_time]", "selfcheck.timed_steps=2"]
    code, said, report = run_command(tmp_path, "batch_size_per_rank=1", *words)
    assert code == 0, said
    verdicts = [check["verdict"] for check in report["checks"]]
    assert verdicts == ["passed", "passed", "passed", "passed", "measured"]
    assert report["good"] and report["running"] is None


@pytest.mark.slow
def test_whole_networks_and_five_steps_on_this_cpu(tmp_path):
    """About 50 s."""
    names = "plain_network,deformable_network,five_steps"
    code, said, report = run_command(tmp_path, "device=cpu", f"selfcheck.checks=[{names}]")
    assert code == 0, said
    assert [check["verdict"] for check in report["checks"]] == ["passed"] * 3


@pytest.mark.slow
def test_graphs_compile_for_ascend_where_meaningless_results_fail(tmp_path):
    """In MindSpore's simulation no kernel runs; about 40 s."""
    environment = environment_of_child(
        compose([], SelfcheckConfig, "selfcheck"),
        Chip["910b"],
        *cann_paths(dict(os.environ)),
        tmp_path,
        {name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    packages = environment["PYTHONPATH"].split(os.pathsep)[1]
    sys_path = [*filter(None, sys.path), packages]
    environment["PYTHONPATH"] = os.pathsep.join(sys_path)
    checks = "selfcheck.checks=[deform_layer,losses,decode,repeat,overflow]"
    words = ["-m", "train.selfcheck", "device=ascend", "run_dir=run", checks]
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == FairMOTError.exit_code, done.stdout + done.stderr
    report = json.loads((tmp_path / "run" / "selfcheck.json").read_text())
    assert report["device"] == "ascend"
    verdicts = [check["verdict"] for check in report["checks"]]
    assert verdicts[:3] == ["FAILED"] * 3  # an ERROR would not have compiled
    assert set(verdicts[3:]) <= {"passed", "FAILED"}  # of numbers that mean nothing
    assert len(verdicts) == 5
