# Completion of `moorings` for fish:
#   moorings completion fish > ~/.config/fish/completions/moorings.fish
function __moorings_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l told (_MOORINGS_COMPLETE=fish command $words[1] $words[2..-1] 2> /dev/null)
    if contains -- :files $told
        # Of --option=path, the path is what fish completes; what stands before it has to stand before each candidate.
        set -l option (string match --regex -- '^--[^=]*=' $words[-1])
        set -l path (string replace --regex -- '^--[^=]*=' '' $words[-1])
        printf "$option%s\n" (__fish_complete_path "$path")
    else
        printf '%s\n' $told
    end
end
complete --command moorings --no-files --keep-order --arguments '(__moorings_complete)'
