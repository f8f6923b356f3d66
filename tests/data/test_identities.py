from dataclasses import asdict

import pytest

from fairmot.data.identities import IdentityTable
from fairmot.json_files import as_shape

TABLE = IdentityTable(["mot17", "caltech", "prw"], [546, 0, 934])


def test_offsets_and_number_of_classes() -> None:
    assert TABLE.offsets == [0, 546, 546]
    assert TABLE.num_identities == 546 + 934 + 1


def test_detection_only_data_has_one_class() -> None:
    assert IdentityTable(["caltech"], [0]).num_identities == 1


def test_round_trip_through_json() -> None:
    assert as_shape(asdict(TABLE), IdentityTable, ValueError) == TABLE


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "names: is missing; counts: is missing"),
        ({"names": ["a"], "counts": [1], "count": 1}, "count: is no key"),
        ({"names": ["a"], "counts": [1, 2]}, "identity table: 1 names but 2 counts"),
        ({"names": ["a"], "counts": [-1]}, "identity table: a is below 0"),
        (
            {"names": 3, "counts": ["4"]},
            r"names: Input should be a valid array; counts\[0\]: Input should be a valid int",
        ),
    ],
)
def test_refuses_what_is_no_table(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_shape(values, IdentityTable, ValueError)


@pytest.mark.parametrize(
    ("other", "sentences"),
    [
        (TABLE, []),
        (IdentityTable(["mot17", "caltech"], [546, 0]), ["data set 'prw': the checkpoint lacks it, this run has it"]),
        (
            IdentityTable([*TABLE.names, "eth"], [*TABLE.counts, 5]),
            ["data set 'eth': the checkpoint has it, this run lacks it"],
        ),
        (
            IdentityTable(TABLE.names, [546, 3, 900]),
            [
                "identities of data set 'caltech': checkpoint 3, this run 0",
                "identities of data set 'prw': checkpoint 900, this run 934",
            ],
        ),
        (
            IdentityTable(["prw", "mot17", "caltech"], [934, 546, 0]),
            ["order of the data sets: checkpoint prw, mot17, caltech, this run mot17, caltech, prw"],
        ),
    ],
)
def test_differences(other: IdentityTable, sentences: list[str]) -> None:
    assert TABLE.differences(other) == sentences
