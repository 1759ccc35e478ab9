# Completion of `moorings` for bash 4.4 and later: source this, or put it where bash-completion looks:
#   moorings completion bash > ~/.local/share/bash-completion/completions/moorings
_moorings() {
    local IFS=$'\n' words line
    # A colon or an equals sign splits words in COMP_WORDS; bash-completion joins them again where it is there.
    if declare -F _get_comp_words_by_ref > /dev/null; then
        local cur cword
        _get_comp_words_by_ref -n := cur cword words
        words=("${words[@]:1:cword}")
    else
        words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    fi
    COMPREPLY=()
    while read -r line; do
        case $line in
            :files) compopt -o default ;;
            *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <(_MOORINGS_COMPLETE=bash command "${COMP_WORDS[0]}" "${words[@]}" 2> /dev/null)
    if declare -F __ltrim_colon_completions > /dev/null; then
        __ltrim_colon_completions "${words[-1]}"
    fi
}
complete -F _moorings moorings
