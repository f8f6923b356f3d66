# Sourced by bash: TAB completes keys, groups and files after `python -m train`, `fairmot-train` and the other commands of
# this project.
#   source scripts/completion.bash
# Hydra knows the keys; its own completion script does not understand `python -m`. Every TAB after one starts the program.
# Names of files are data: nothing here evaluates them, and what is inserted is quoted, so that Enter does not either.

# What the shell would make of a half-typed word, in REPLY; fails for quotes left open and for what would be expanded.
_fairmot_unquoted() {
    local rest=$1
    REPLY=
    while [ -n "$rest" ]; do
        case $rest in
            \\?*) REPLY+=${rest:1:1} rest=${rest:2} ;;
            \\) rest= ;;
            [\'\"\$\`]*) return 1 ;;
            *) REPLY+=${rest:0:1} rest=${rest:1} ;;
        esac
    done
}

# Offers key=path for every path that begins as typed; a folder gets its slash.
_fairmot_files() {
    local key=$1 typed=$2 start=$2 path
    case $typed in \~/*) start=$HOME/${typed:2} ;; esac
    for path in "$start"*; do
        [ -e "$path" ] || continue
        [ ! -d "$path" ] || path+=/
        COMPREPLY+=("$key$(printf '%q' "$typed${path:${#start}}")")
    done
}

# The launcher's own words taken out of a line; the keys behind them are those of the training or of the self-check, in
# REPLY, whose command is asked.
_fairmot_launched() {
    REPLY=train
    case $line in *" --selfcheck "*) REPLY=selfcheck ;; esac
    line=${line// --selfcheck / }
    line=${line// --dry-run / }
    while [[ $line =~ ^\ +[^=\ ]+\ (.*) ]]; do line=" ${BASH_REMATCH[1]}"; done
}

_fairmot_complete() {
    local line choice choices REPLY command=("${COMP_WORDS[0]}")
    COMPREPLY=()
    case "${COMP_WORDS[0]##*/} ${COMP_WORDS[1]:-} ${COMP_WORDS[2]:-}" in
        fairmot-*) ;;
        *" -m train" | *" -m train.deliver" | *" -m train.launch" | *" -m train.selfcheck" | *" -m fairmot."*)
            command+=(-m "${COMP_WORDS[2]}") ;;
        *) return ;;
    esac
    [ "$COMP_CWORD" -ge "${#command[@]}" ] || return
    line=${COMP_LINE#*"${command[-1]}"}
    case ${command[-1]} in
        train.launch) _fairmot_launched && command[-1]=${REPLY/#selfcheck/train.selfcheck} ;;
        *fairmot-launch) _fairmot_launched && command[-1]=${command[-1]%launch}$REPLY ;;
    esac
    _fairmot_unquoted "${COMP_WORDS[COMP_CWORD]}" || return
    case $REPLY in
        *=[./~]* | *=*/*) _fairmot_files "${REPLY%%=*}=" "${REPLY#*=}" && return ;;
    esac
    # Hydra wants a line that begins with the program's name and takes the rest for overrides.
    line="program ${line# }"
    read -ra choices < <(COMP_LINE=$line COMP_POINT=${#line} "${command[@]}" -sc query=bash 2>/dev/null)
    for choice in "${choices[@]}"; do
        [[ $choice != "$REPLY"* ]] || COMPREPLY+=("$(printf '%q' "$choice")")
    done
}

COMP_WORDBREAKS=${COMP_WORDBREAKS//=/}
complete -o nospace -o default -F _fairmot_complete python fairmot-{demo,train,launch,selfcheck,prepare,pack,track} \
    fairmot-{evaluate,submit,convert,export,tune,link}
