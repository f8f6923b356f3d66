#!/usr/bin/env bash
# Install the development set, then check: format, lint, types, layers, tests.
#   bash scripts/test.sh          the default tests
#   bash scripts/test.sh coverage the same with the share of lines they run, which takes a seventh longer
#   bash scripts/test.sh all      all tests, as CI does
#   bash scripts/test.sh -k word  further words go to pytest
set -euo pipefail
# shellcheck disable=SC2034  # read by environment.sh
development=yes
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

"$PYTHON" -m ruff format --check .
"$PYTHON" -m ruff check .
"$PYTHON" -m mypy
"$FAIRMOT_VENV/bin/lint-imports"
# A worker a core, as most tests keep one busy. A file's tests stay together: they share what they make. Files with slow
# tests come first (tests/conftest.py), so that no worker ends with a long one alone.
spread=(-n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder)
case "${1:-}" in
coverage)
    shift
    failed=0
    COVERAGE_FILE="$PWD/.coverage" "$PYTHON" -m coverage run -m pytest "${spread[@]}" "$@" || failed=1
    "$PYTHON" -m coverage combine --quiet
    "$PYTHON" -m coverage report --skip-covered --skip-empty --sort=cover
    ;;
all)
    shift
    failed=0
    "$PYTHON" -m pytest -m "not distributed and not ascend" "${spread[@]}" "$@" || failed=1
    # Those with several ranks come alone: their time limits are those of undisturbed ranks, and they keep all cores busy.
    "$PYTHON" -m pytest -m "distributed and not ascend" tests/distributed "$@" || failed=1
    ;;
*)
    exec "$PYTHON" -m pytest "${spread[@]}" "$@"
    ;;
esac
exit "$failed"
