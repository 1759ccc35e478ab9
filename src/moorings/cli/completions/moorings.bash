# Completion of `moorings` for bash 4.4 and later: source this, or put it where bash-completion looks:
#   moorings completion bash > ~/.local/share/bash-completion/completions/moorings
_moorings() {
    local IFS=$'\n' line word prefix='' words=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        # Bash takes --option=value for three words, and replaces the last one; for us it is one.
        if [[ ${#words[@]} -gt 0 && ($word == '=' || ${words[-1]} == --*=) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
    done
    if [[ ${words[-1]} == --*=* && $COMP_WORDBREAKS == *=* ]]; then
        prefix=${words[-1]%%=*}=
    fi
    COMPREPLY=()
    while read -r line; do
        case $line in
            :files) compopt -o default ;;
            *) COMPREPLY+=("${line#"$prefix"}") ;;
        esac
    done < <(_MOORINGS_COMPLETE=bash command "${COMP_WORDS[0]}" "${words[@]}" 2> /dev/null)
}
complete -F _moorings moorings
