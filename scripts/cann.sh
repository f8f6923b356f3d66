# shellcheck shell=bash
# Sourced by other scripts: the environment of CANN, unless it is set already or CANN is not installed.
#   FAIRMOT_ASCEND   the folder that holds it (default: /usr/local/Ascend, else Ascend in the home folder)

source_cann() {
    local folder name options
    for folder in "${FAIRMOT_ASCEND:-/usr/local/Ascend}" "${FAIRMOT_ASCEND:-${HOME:-/root}/Ascend}"; do
        for name in cann ascend-toolkit; do # CANN 9, CANN 8
            if [ -n "${ASCEND_HOME_PATH:-}" ] || ! [ -f "$folder/$name/set_env.sh" ]; then continue; fi
            options=$-
            set +eu # it is not written for these
            # shellcheck source=/dev/null
            source "$folder/$name/set_env.sh"
            case "$options" in *e*) set -e ;; esac
            case "$options" in *u*) set -u ;; esac
        done
    done
}

source_cann
