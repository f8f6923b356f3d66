"""The stored values are the fixtures', cut and not computed."""

import numpy as np
import selfcheck_expected

from train.selfcheck.expected import load


def test_every_file_holds_the_fixtures_numbers():
    for name, arrays in selfcheck_expected.everything().items():
        stored = load(name)
        assert stored.keys() == arrays.keys(), f"{name}: run python scripts/selfcheck_expected.py"
        for key, array in arrays.items():
            assert stored[key].dtype == array.dtype, (name, key)
            np.testing.assert_array_equal(stored[key], array, err_msg=f"{name}: {key}")


def test_they_are_small_enough_for_a_package():
    files = list(selfcheck_expected.EXPECTED.iterdir())
    assert {path.stem for path in files} == selfcheck_expected.everything().keys()
    assert sum(path.stat().st_size for path in files) < 500_000
