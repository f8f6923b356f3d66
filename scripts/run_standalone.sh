#!/usr/bin/env bash
# Train on one device, watched and restarted like many. See docs/distributed.md.
#   bash scripts/run_standalone.sh [--dry-run] [overrides of python -m train]
set -euo pipefail
exec bash "$(dirname "${BASH_SOURCE[0]}")/run_distribute.sh" 1 "$@"
