# Completion of `moorings` for PowerShell 5.1 and later: run this, or add it to $PROFILE:
#   moorings completion powershell >> $PROFILE
Register-ArgumentCompleter -Native -CommandName moorings -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # PowerShell before 7.3 drops an empty argument: it is told by a word of its own.
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -le $cursorPosition } |
            Select-Object -Skip 1 | ForEach-Object { $_.Extent.Text })
    if ($wordToComplete -eq '') { $words += ':empty' }
    $env:_MOORINGS_COMPLETE = 'powershell'
    try {
        $told = @(& moorings @words 2> $null)
    } finally {
        Remove-Item Env:_MOORINGS_COMPLETE
    }
    foreach ($line in $told) {
        if ($line -eq ':files') { return }
        $value, $about = $line -split "`t", 2
        if (-not $about) { $about = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $about)
    }
}
