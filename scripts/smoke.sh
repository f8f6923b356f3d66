#!/usr/bin/env bash
# Whether the base set installs and works under other Pythons than the one that runs the tests: every command's help, and
# the demo to its scores. Each Python takes some minutes, most of them for downloads.
#   bash scripts/smoke.sh              every python3.10 to python3.12 of the PATH but that of FAIRMOT_VENV
#   bash scripts/smoke.sh python3.12   these
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

pythons=("$@")
if [ $# = 0 ]; then
    tested=$(version "${FAIRMOT_VENV:-.venv}/bin/python" || true)
    for name in python3.10 python3.11 python3.12; do
        found=$(version "$name" || true)
        if [ -n "$found" ] && [ "$found" != "$tested" ]; then pythons+=("$name"); fi
    done
    echo "smoke: other Pythons found: ${pythons[*]:-none}"
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for python in "${pythons[@]}"; do
    echo "smoke: $python, $(version "$python")"
    "$python" -m venv "$folder/venv"
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check .
    for command in demo train launch selfcheck prepare pack track evaluate submit convert export tune link; do
        (cd "$folder" && "venv/bin/fairmot-$command" --help > /dev/null)
    done
    (cd "$folder" && venv/bin/fairmot-demo output=demo frames=20)
    rm -rf "$folder/venv" "$folder/demo"
done
