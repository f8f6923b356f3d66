import csv
import json
from pathlib import Path

import pytest
from evaluation_data import rows, walk

from fairmot.evaluation.metrics import combine, evaluate_sequence
from fairmot.evaluation.report import csv_table, markdown_table, text_table, write_report


@pytest.fixture(scope="module")
def sequences() -> list:
    return [evaluate_sequence(*walk(1), "short"), evaluate_sequence(*walk(2), "a-longer-name")]


def test_the_text_is_aligned_and_rounded(sequences: list) -> None:
    lines = text_table(sequences).splitlines()
    table = [line for line in lines if not line.startswith("---")]
    assert [line.split()[0] for line in table] == ["Sequence", "short", "a-longer-name", "OVERALL"]
    assert len({len(line) for line in lines}) == 1
    header, cells = table[0].split(), table[-1].split()
    assert cells[header.index("MOTA")] == f"{combine(sequences).mota:.2f}"
    assert cells[header.index("FAR")] == f"{combine(sequences).false_alarm_rate:.2f}"
    assert cells[header.index("IDs")] == str(sequences[0].switches + sequences[1].switches)


def test_markdown(sequences: list) -> None:
    lines = markdown_table(sequences).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("| Sequence | HOTA | MOTA | IDF1 |")
    assert lines[1].startswith("| --- | ---: |")
    assert len({line.count("|") for line in lines}) == 1


def test_csv_is_unrounded(sequences: list) -> None:
    table = list(csv.DictReader(csv_table(sequences).splitlines()))
    assert [row["Sequence"] for row in table] == ["short", "a-longer-name", "OVERALL"]
    assert float(table[0]["HOTA"]) == sequences[0].hota_score


def test_files(tmp_path: Path, sequences: list) -> None:
    write_report(tmp_path / "new", sequences)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "metrics.csv",
        "metrics.json",
        "metrics.md",
        "metrics.txt",
    ]
    read = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert read["OVERALL"] == combine(sequences).figures()
    assert read["short"]["FP"] == sequences[0].false_positives


def test_further_figures_stand_in_the_json_alone(tmp_path: Path, sequences: list) -> None:
    write_report(tmp_path, sequences, {"OVERALL": {"AP": 50.0}})
    read = json.loads((tmp_path / "metrics.json").read_text())
    assert read["OVERALL"] == {**combine(sequences).figures(), "AP": 50.0}
    assert "AP" not in read["short"]
    assert "AP" not in (tmp_path / "metrics.csv").read_text().splitlines()[0].split(",")


def test_a_result_without_boxes_has_a_table_too() -> None:
    table = text_table([evaluate_sequence(rows((1, 1, 0, 0, 9, 9)), rows(), "empty")])
    assert "nan" not in table
