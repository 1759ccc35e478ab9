# Last step of making a Windows image, as administrator and before sysprep: takes every trace of this server's identity
# out. The agent itself may stay installed.
$ErrorActionPreference = 'Stop'
Stop-Service -Name AmazonSSMAgent -Force -ErrorAction SilentlyContinue # it would write its state again
foreach ($path in @(
        (Join-Path $env:ProgramData 'Amazon\SSM\InstanceData'),
        (Join-Path $env:ProgramData 'Moorings'),
        (Join-Path $env:SystemRoot 'System32\config\systemprofile\.aws\credentials'),
        (Join-Path $env:SystemRoot 'Temp\moorings.ps1'),
        (Join-Path $env:SystemRoot 'Temp\moorings.log'))) {
    if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path -Recurse -Force }
}
Set-Service -Name AmazonSSMAgent -StartupType Manual -ErrorAction SilentlyContinue # enrolling makes it start by itself
