# shellcheck shell=bash
# Sourced by the other scripts: a virtual environment with the project and what it needs, made when absent or outdated.
# With development=yes before it, that is the tools of scripts/test.sh too; an environment with these serves all scripts.
#   FAIRMOT_VENV   where it is (default: .venv in the project)
#   FAIRMOT_PYTHON the Python to make it from (default: the first of 3.11, 3.12, 3.10 that is found)
# Leaves its python in $PYTHON, and the environment of CANN where that is installed (scripts/cann.sh).

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
FAIRMOT_VENV=${FAIRMOT_VENV:-.venv}

suitable() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${FAIRMOT_PYTHON:+"$FAIRMOT_PYTHON"} python3.11 python3.12 python3.10 python3 python; do
        if suitable "$candidate"; then echo "$candidate"; return; fi
    done
    echo "error: no Python 3.10, 3.11 or 3.12 found; install one or name it: FAIRMOT_PYTHON=/path/to/python3.11" >&2
    return 1
}

install_project() {
    local base wanted stamp mark=.installed what=. marks=(.installed .installed-dev)
    if [ "${development:-no}" = yes ]; then mark=.installed-dev what='.[dev]' marks=(.installed-dev); fi
    # What is installed depends on pyproject.toml alone, and on where the editable checkout lies.
    wanted="$(cksum < pyproject.toml) $PWD"
    PYTHON="$FAIRMOT_VENV/bin/python"
    for stamp in "${marks[@]}"; do
        if [ "$(cat "$FAIRMOT_VENV/$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
    done
    base=$(find_python)
    echo "installing $what into $FAIRMOT_VENV with $("$base" --version) (a few minutes the first time)" >&2
    if ! "$base" -m venv "$FAIRMOT_VENV"; then
        echo "error: $base cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2
        return 1
    fi
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --editable "$what"
    echo "$wanted" > "$FAIRMOT_VENV/$mark"
}

install_project
source scripts/cann.sh
# msrun starts the first `python` of the PATH.
PATH="$(cd "$FAIRMOT_VENV/bin" && pwd):$PATH"
export PATH
