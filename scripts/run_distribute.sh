#!/usr/bin/env bash
# Train on N ranks, on this host or on those of a rank table (run it on each of them). See docs/distributed.md.
#   bash scripts/run_distribute.sh N [rank_table.json] [--dry-run] [overrides of python -m train]
# Works from any folder with the `python` that is active, else with the project's virtual environment (FAIRMOT_VENV,
# default .venv). Installs nothing: a cluster's environment belongs to its owner; that of CANN is set where it is not.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/cann.sh
source "$project/scripts/cann.sh"

for python in python "${FAIRMOT_VENV:-$project/.venv}/bin/python" python3 ""; do
    if [ -z "$python" ]; then
        echo "error: no Python with MindSpore found; activate an environment that has it (README.md, installation)" >&2
        exit 1
    fi
    if "$python" -c 'import importlib.util as i, sys; sys.exit(i.find_spec("mindspore") is None)' 2>/dev/null; then
        break
    fi
done
export PYTHONPATH="$project${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m train.launch "$@"
