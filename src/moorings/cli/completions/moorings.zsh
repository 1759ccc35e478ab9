#compdef moorings
# Completion of `moorings` for zsh: put it, as _moorings, into a folder of $fpath, before compinit runs:
#   moorings completion zsh > "${fpath[1]}/_moorings"
_moorings() {
    local line
    local -a told
    for line in "${(@f)$(_MOORINGS_COMPLETE=zsh command "${words[1]}" "${(@)words[2,CURRENT]}" 2> /dev/null)}"; do
        if [[ $line == :files ]]; then
            compset -P '--*='
            _files
            return
        elif [[ $line == *$'\t'* ]]; then
            told+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        elif [[ -n $line ]]; then
            told+=("${line//:/\\:}")
        fi
    done
    (( ${#told} )) && _describe -V 'moorings' told
}
if [[ ${funcstack[1]} == _moorings ]]; then
    _moorings "$@"
else
    compdef _moorings moorings
fi
