#!/usr/bin/env bash
# Install, train a narrow network on the embedded synthetic set, and show what came of it.
# Further words are overrides of `python -m train`, such as epochs=4.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
exec "$PYTHON" -m train experiment=quickstart "$@"
