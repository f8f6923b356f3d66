#!/usr/bin/env bash
# Install the base set, train a narrow network on the embedded synthetic set, track a sequence it has not seen, and show the result.
# Further words are overrides of `python -m train`, such as epochs=4.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

run_dir="runs/quickstart/$(date +%Y-%m-%d_%H-%M-%S)"
data_root=data
for word in "$@"; do
    case "$word" in
        run_dir=*) run_dir="${word#run_dir=}" ;;
        data.root=*) data_root="${word#data.root=}" ;;
    esac
done
"$PYTHON" -m train experiment=quickstart "run_dir=$run_dir" "$@"
drawn=$(grep -o 'synthetic-[0-9a-f]*' "$run_dir/config.yaml" | head -n 1)
"$PYTHON" -m fairmot.track "source=$data_root/$drawn/images/val/synthetic-val-01" "checkpoint=$run_dir" \
    "output=$run_dir/tracked" overwrite=true
