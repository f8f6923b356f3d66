"""What people see: a sweep of two short trainings on the pages of a real MLflow server, in a real browser.

Pictures for the documentation (FAIRMOT_SCREENSHOTS, see chromium.py) are of longer trainings, which take minutes.
"""

import contextlib
import json
import os
from collections.abc import Iterator

import pytest
from blob_sequences import run_command_in_process, write_sequence
from chromium import keep_picture, open_browser
from mlflow import MlflowClient
from mlflow_server import Server
from small_run import overrides, write_pictures

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[browser]'")

KEEPS_PICTURES = bool(os.environ.get("FAIRMOT_SCREENSHOTS"))
DATA_SET = "synthetic" if KEEPS_PICTURES else "small"
NAMES = ("optim.lr=0.0005", "optim.lr=0.005")
CURVES = ".scatterlayer .trace"
PLOT = "contains(@class, 'js-plotly-plot')"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page() -> Iterator["sync_api.Page"]:
    with open_browser() as page:
        yield page


@pytest.fixture(scope="module")
def server(page, tmp_path_factory) -> Iterator[Server]:
    """A server that holds the sweep's runs; not started where nobody can look at it."""
    folder = tmp_path_factory.mktemp("mlflow")
    server = Server(folder)
    seen = {"mlflow__enabled": "true", "mlflow__tracking_uri": server.uri, "mlflow__flush_timeout_s": 90}
    seen |= {"log_pictures_every_epochs": 1, "runtime__log_system_every_steps": 1, "validate_every_epochs": 1}
    seen |= {"mlflow__register_model": "true"}
    if KEEPS_PICTURES:
        words = ["experiment=quickstart", f"data.root={folder}/data", f"run_dir={folder}/rates", "epochs=3"]
        words += ["data.synthetic.train_sequences=4"]
        words += [f"{key.replace('__', '.')}={value}" for key, value in seen.items()]
    else:
        write_pictures(folder / "data")
        write_sequence(folder / "data" / "val" / "walk")
        seen |= {"data__validation": "[val/*]", "tracker__conf_thres": 0.0}
        words = overrides(folder / "data", folder / "rates", epochs=2, **seen)
    words = ["-m", *words, "optim.lr=5e-4,5e-3"]
    try:
        server.start()
        with pytest.MonkeyPatch.context() as patch:
            assert run_command_in_process(patch, "train", words) == 0
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def runs(server) -> dict[str, str]:
    """Run id by name."""
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("fairmot")
    return {run.info.run_name: run.info.run_id for run in client.search_runs([experiment.experiment_id])}


@pytest.fixture(scope="module")
def room(server, page) -> None:
    """MLflow's assistant, which stands over the page's right side, is closed; it stays so."""
    page.goto(server.uri)
    with contextlib.suppress(sync_api.TimeoutError):  # not every version has one
        page.get_by_role("button", name="Close").first.click(timeout=20_000)


@pytest.fixture
def look(server, page, room, runs, request):
    """Opens a page of the server; `{runs}` stands for the two runs of the sweep."""

    def open_page(address: str) -> "sync_api.Page":
        both = json.dumps([runs[name] for name in NAMES], separators=(",", ":"))
        page.goto(f"{server.uri}/#/{address.replace('{runs}', both)}")
        page.reload()  # another address after the # alone keeps the old page's state
        return page

    yield open_page
    keep_picture(page, request.node.name)


def test_the_runs_of_a_sweep_hang_below_their_parent_with_its_best_scores(look, runs, server):
    page = look("experiments/1/runs")
    assert set(runs) == {"rates", *NAMES}
    sync_api.expect(page.get_by_text("rates", exact=True)).to_be_visible()
    for name in NAMES:
        sync_api.expect(page.get_by_text(name, exact=True)).to_have_count(0)
    page.get_by_role("row").filter(has_text="rates").get_by_role("button").first.click()  # the + before it
    for name in NAMES:
        sync_api.expect(page.get_by_text(name, exact=True)).to_be_visible()
    sync_api.expect(page.get_by_text(f"{DATA_SET} (").first).to_be_visible()  # a data set
    sync_api.expect(page.get_by_text("fairmot-").first).to_be_visible()  # a registered model
    page.get_by_role("button", name="Columns").click()
    page.get_by_placeholder("Search columns").fill("best/")
    page.get_by_text("best/MOTA", exact=True).last.click()
    page.keyboard.press("Escape")
    best = MlflowClient(server.uri).get_run(runs["rates"]).data.metrics["best/MOTA"]
    sync_api.expect(page.get_by_role("gridcell", name=f"{best:g}").first).to_be_visible()


def charts_of_the_expanded_sweep(look) -> "sync_api.Page":
    page = look("experiments/1/runs")
    sync_api.expect(page.get_by_text("rates", exact=True)).to_be_visible()
    if not page.get_by_text(NAMES[0], exact=True).count():  # the page remembers what an earlier test has expanded
        page.get_by_role("row").filter(has_text="rates").get_by_role("button").first.click()
    sync_api.expect(page.get_by_text(NAMES[0], exact=True)).to_be_visible()
    return look("experiments/1/runs?compareRunsMode=CHART")


def test_the_charts_of_an_expanded_sweep_have_its_runs(look):
    page = charts_of_the_expanded_sweep(look)
    for name in NAMES:
        sync_api.expect(page.get_by_text(name, exact=True).first).to_be_visible()
    searched = "epoch/validation/MOTA"
    page.get_by_placeholder("Search metric charts").fill(searched)
    # Until the search has its effect other charts are there, which it then takes away.
    chart = page.locator(f"xpath=//*[normalize-space(text())='{searched}']/ancestor::*[.//*[{PLOT}]][1]")
    # A flat curve has no height, so it does not count as visible.
    sync_api.expect(chart.locator(CURVES).nth(len(NAMES) - 1)).to_be_attached()


def test_the_comparison_shows_what_differs_and_nothing_else(look):
    page = look('compare-runs?runs={runs}&experiments=["1"]')
    sync_api.expect(page.get_by_text("Comparing 2 Runs from 1 Experiment").first).to_be_visible()
    for name in NAMES:
        sync_api.expect(page.get_by_text(name).first).to_be_visible()
    page.get_by_role("switch").first.click()  # parameters: show diff only
    sync_api.expect(page.get_by_text("batch_norm", exact=True)).to_have_count(0)
    tables = [table.inner_text() for table in page.get_by_role("table").all()]
    assert ["optim.lr", "0.0005", "0.005"] in [table.split() for table in tables]


def test_both_curves_are_in_one_chart(look, server, runs):
    page = look('metric?runs={runs}&metric="loss"&experiments=["1"]&plot_metric_keys=["loss"]&x_axis=step')
    for name in NAMES:
        sync_api.expect(page.get_by_text(f"{name} (loss)")).to_be_visible()
    sync_api.expect(page.locator(CURVES).nth(len(NAMES) - 1)).to_be_visible()
    for name in NAMES:
        last = max(MlflowClient(server.uri).get_metric_history(runs[name], "loss"), key=lambda point: point.step)
        sync_api.expect(page.get_by_text(f"{last.value} (step={last.step})").first).to_be_visible()


def test_the_pictures_of_two_runs_are_compared_by_a_slider_over_epochs(look):
    page = charts_of_the_expanded_sweep(look)
    page.get_by_placeholder("Search metric charts").fill("network view")
    title = "normalize-space(text())='network view'"
    chart = page.locator(f"xpath=//*[{title}]/ancestor::*[.//*[@role='slider']][1]")
    chart.get_by_role("button").first.click()  # full screen
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("slider").press("ArrowRight")  # it stands before the first picture
    sync_api.expect(dialog.locator("img")).to_have_count(len(NAMES))
    for image in dialog.locator("img").all():
        sync_api.expect(image).to_have_js_property("complete", True)
        assert image.evaluate("element => element.naturalWidth") >= 200


def test_the_checkpoints_are_models_with_scores_of_their_data(look, server, runs):
    client = MlflowClient(server.uri)
    models = client.search_logged_models(["1"], f"source_run_id = '{runs[NAMES[1]]}'")
    scored = next(model for model in models if model.metrics)
    page = look("experiments/1/models")
    sync_api.expect(page.get_by_text(scored.name, exact=True).first).to_be_visible()
    page = look(f"experiments/1/models/{scored.model_id}")
    sync_api.expect(page.get_by_text("MOTA", exact=True).first).to_be_visible()
    sync_api.expect(page.get_by_text(scored.metrics[0].dataset_name).first).to_be_visible()


def test_the_registered_best_says_what_goes_in_and_out(look, server):
    (model,) = MlflowClient(server.uri).search_registered_models()
    version = model.aliases["best"]
    page = look(f"models/{model.name}/versions/{version}")
    sync_api.expect(page.get_by_text("best", exact=False).first).to_be_visible()
    sync_api.expect(page.get_by_text("Inputs (1)")).to_be_visible()
    sync_api.expect(page.get_by_text("Outputs (8)")).to_be_visible()


def test_the_scores_of_the_sequences_are_compared_over_runs(look):
    page = look("experiments/1/runs?compareRunsMode=ARTIFACT")
    sync_api.expect(page.get_by_text("validation_scores.json").first).to_be_visible()
    sync_api.expect(page.get_by_text("OVERALL", exact=True).first).to_be_visible()
