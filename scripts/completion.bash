# Sourced by bash: TAB completes keys, groups and files after `python -m train` and the other commands of this project.
#   source scripts/completion.bash
# Hydra knows the answers; its own completion script does not understand `python -m`. Every TAB starts the program.

_fairmot_complete() {
    local line word choices
    COMPREPLY=()
    case "${COMP_WORDS[1]:-} ${COMP_WORDS[2]:-}" in
        "-m train" | "-m train.deliver" | "-m train.selfcheck" | "-m fairmot."*) ;;
        *) return ;;
    esac
    [ "$COMP_CWORD" -gt 2 ] || return
    # Hydra wants a line that begins with the program's name and takes the rest for overrides.
    line="program ${COMP_LINE#*"${COMP_WORDS[2]}"}"
    word=${COMP_LINE##* }
    choices=$(COMP_LINE=$line COMP_POINT=${#line} "${COMP_WORDS[0]}" -m "${COMP_WORDS[2]}" -sc query=bash 2>/dev/null)
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
}

COMP_WORDBREAKS=${COMP_WORDBREAKS//=/}
complete -o nospace -o default -F _fairmot_complete python
