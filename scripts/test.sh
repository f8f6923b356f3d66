#!/usr/bin/env bash
# Install, then check: format, lint, types, layers, tests.
#   bash scripts/test.sh          the default tests
#   bash scripts/test.sh all      these with the share of lines they run, then the slow and the distributed ones, as CI does
#   bash scripts/test.sh -k word  further words go to pytest
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

"$PYTHON" -m ruff format --check .
"$PYTHON" -m ruff check .
"$PYTHON" -m mypy
"$FAIRMOT_VENV/bin/lint-imports"
if [ "${1:-}" != all ]; then
    exec "$PYTHON" -m pytest "$@"
fi
shift
failed=0
COVERAGE_FILE="$PWD/.coverage" "$PYTHON" -m coverage run -m pytest "$@" || failed=1
"$PYTHON" -m coverage combine --quiet
"$PYTHON" -m coverage report --skip-covered --skip-empty --sort=cover
# Without measuring, which costs a seventh: these are long, or kill ranks whose time limits are those of undisturbed ones.
"$PYTHON" -m pytest -m "(slow or distributed) and not ascend" "$@" || failed=1
exit "$failed"
