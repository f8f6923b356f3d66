#!/usr/bin/env bash
# Install, then check: format, lint, types, layers, tests.
#   bash scripts/test.sh          the default tests
#   bash scripts/test.sh all      also the slow and the distributed ones, as CI does
#   bash scripts/test.sh -k word  further words go to pytest
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

selection=()
if [ "${1:-}" = all ]; then
    selection=(-m "not ascend")
    shift
fi
"$PYTHON" -m ruff format --check .
"$PYTHON" -m ruff check .
"$PYTHON" -m mypy
"$FAIRMOT_VENV/bin/lint-imports"
"$PYTHON" -m pytest "${selection[@]}" "$@"
