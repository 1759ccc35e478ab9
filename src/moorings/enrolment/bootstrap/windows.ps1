<#
.SYNOPSIS
Makes this server a managed node of AWS Systems Manager. Run it as administrator; run it again at any time.

.DESCRIPTION
A registered server is left alone, a run that was cut short is finished. Windows PowerShell 5.1 or later. Prints no
activation code or key. All of it is one function that the last line calls, so that a download cut short runs nothing.
Manual, with every exit code and its remedy: docs/bootstrap.md.
#>

function Invoke-MooringsBootstrap {
    [CmdletBinding()]
    param(
        [string]$Url,        # the enrolment API, https://...
        [string]$Region,     # AWS Region of the activation
        [string]$Packages,   # where the agent's packages lie
        [string]$Pool,       # pool to draw from; none: the API's choice
        [string]$Publisher,  # who must have signed the setup program: its name, or the first words of it
        [switch]$Force,      # register anew although registered; the old node stays until deregistered
        [switch]$Uninstall   # remove agent and registration from this server
    )

    Set-StrictMode -Version 2
    Set-PSDebug -Off  # a trace would show the values of variables
    $ErrorActionPreference = 'Stop'
    $ProgressPreference = 'SilentlyContinue'

    # -- settings, filled in by the enrolment API; the environment overrides them, parameters override both --
    $MOORINGS_URL = ''
    $MOORINGS_REGION = ''
    $MOORINGS_PACKAGES = ''
    $MOORINGS_POOL = ''
    # -- end of settings --

    $ExitCode = @{
        Usage = 2; Refused = 3; Busy = 4; Rejected = 5; Answer = 6
        Root = 10; System = 11; Tool = 12; Locked = 13; Download = 14; Signature = 15
        Install = 16; Registration = 17; Service = 18; Uninstall = 19; Unexpected = 70
    }
    $State = Join-Path $env:ProgramData 'Moorings'
    $KeyFile = Join-Path $State 'enrolment.key'
    $Data = Join-Path $env:ProgramData 'Amazon\SSM\InstanceData'
    $Vault = Join-Path $Data 'Vault\Store\RegistrationKey'
    $Agent = Join-Path $env:ProgramFiles 'Amazon\SSM\amazon-ssm-agent.exe'
    $Service = 'AmazonSSMAgent'
    $ServiceKey = "HKLM:\SYSTEM\CurrentControlSet\Services\$Service"
    $RegistrationTries = 3
    $Clock = [Diagnostics.Stopwatch]::StartNew()  # no time server sets it back

    function Write-Talk([string]$Text) { [Console]::Error.WriteLine("moorings: $Text") }

    function Stop-Run([string]$Reason, [string]$Text) {
        $stop = New-Object System.InvalidOperationException $Text
        $stop.Data['ExitCode'] = $ExitCode[$Reason]
        throw $stop
    }

    function Select-Setting([string]$Parameter, [string]$Environment, [string]$Default) {
        foreach ($value in @($Parameter, [Environment]::GetEnvironmentVariable($Environment), $Default)) {
            if ($value) { return $value }
        }
        return ''
    }

    function Get-Seconds([string]$Name, [string]$Default) {
        $text = Select-Setting '' $Name $Default
        if ($text -notmatch '^[0-9]{1,6}(\.[0-9]{1,3})?$') { Stop-Run Usage "$Name is not a number of seconds" }
        return [double]::Parse($text, [Globalization.CultureInfo]::InvariantCulture)
    }

    # Sleeps that long plus a random part that grows; false, unslept, if that passes the deadline.
    function Wait-Turn([int]$Attempt, [double]$Seconds) {
        $ceiling = $RetryBase * [Math]::Pow(2, [Math]::Min($Attempt, 10))
        # Others were told the same seconds: they would all come back together.
        $ceiling = [Math]::Min($RetryCap, [Math]::Max($ceiling, $Seconds))
        # Servers cloned from one image boot alike; a new GUID's bytes are never alike.
        $share = [BitConverter]::ToUInt32([Guid]::NewGuid().ToByteArray(), 0) / [uint32]::MaxValue
        $delay = $Seconds + $ceiling * $share
        if ($Clock.Elapsed.TotalSeconds + $delay -ge $Deadline) { return $false }
        [Threading.Thread]::Sleep([int]($delay * 1000))
        return $true
    }

    # -- the agent on this server --------------------------------------------------------------------------------------

    function Get-NodeId {
        # After `-register -clear` the registration file keeps the old id; where the vault can be read, it decides.
        foreach ($file in @($Vault, (Join-Path $Data 'registration'))) {
            if (Test-Path -LiteralPath $file -PathType Leaf) {
                $match = [regex]::Match([IO.File]::ReadAllText($file), '"(?:instanceID|ManagedInstanceID)"\s*:\s*"(mi-[0-9A-Za-z]{1,64})"')
                return $match.Groups[1].Value
            }
        }
        return ''
    }

    function Test-Agent { return (Test-Path -LiteralPath $Agent -PathType Leaf) }

    function Test-Running {
        $found = Get-Service -Name $Service -ErrorAction SilentlyContinue
        return ($null -ne $found -and $found.Status -eq 'Running')
    }

    function Start-Agent {
        Set-ServiceProxy
        try {
            Set-Service -Name $Service -StartupType Automatic
            Restart-Service -Name $Service -Force
        } catch { Stop-Run Service "the service $Service does not start; see $env:ProgramData\Amazon\SSM\Logs" }
        $limit = $Clock.Elapsed.TotalSeconds + $StartWait
        $since = -1
        while ($true) {
            # An agent that cannot use its registration comes up, and ends a moment later.
            $before = $Clock.Elapsed.TotalSeconds
            if (Test-Running) {
                if ($since -lt 0) { $since = $Clock.Elapsed.TotalSeconds }
                elseif ($before - $since -ge $StartStay) { return }
            } else {
                $since = -1
                if ($before -ge $limit) { Stop-Run Service "the agent does not stay up; see $env:ProgramData\Amazon\SSM\Logs" }
            }
            [Threading.Thread]::Sleep([int]($StartPoll * 1000))
        }
    }

    # A node behind a proxy needs it for the agent too; that one takes it from its service's environment.
    function Set-ServiceProxy {
        if (-not $env:https_proxy) { return }
        $bypass = $env:no_proxy
        if ("$bypass" -notlike '*169.254.169.254*') { $bypass = (@($bypass, '169.254.169.254') | Where-Object { $_ }) -join ',' }
        $lines = @("https_proxy=$env:https_proxy", "no_proxy=$bypass")
        if ($env:http_proxy) { $lines += "http_proxy=$env:http_proxy" }
        New-ItemProperty -Path $ServiceKey -Name Environment -PropertyType MultiString -Value $lines -Force | Out-Null
    }

    # -- asking over the network ---------------------------------------------------------------------------------------

    function New-Client([double]$TimeoutSeconds) {
        $handler = New-Object System.Net.Http.HttpClientHandler
        if ($env:https_proxy) {
            $bypass = @("$env:no_proxy" -split ',' | Where-Object { $_ } | ForEach-Object { [regex]::Escape($_.Trim()) + '(:\d+)?$' })
            $handler.Proxy = New-Object System.Net.WebProxy($env:https_proxy, $true, [string[]]$bypass)
        }
        $client = New-Object System.Net.Http.HttpClient($handler)
        $client.Timeout = [TimeSpan]::FromSeconds($TimeoutSeconds)
        return $client
    }

    # Repeats the request that $Make returns until the answer is final; $null once the deadline is reached.
    function Get-Answer($Client, [scriptblock]$Make, [string]$SaveAs) {
        for ($attempt = 0; ; $attempt++) {
            $wait = 0
            $status = 0  # no connection, no name, no TLS: may be over in a moment
            $text = ''
            try {
                $response = $Client.SendAsync((& $Make)).GetAwaiter().GetResult()
                $status = [int]$response.StatusCode
                if ($response.Headers.RetryAfter -and $response.Headers.RetryAfter.Delta) { $wait = $response.Headers.RetryAfter.Delta.TotalSeconds }
                if ($SaveAs -and $status -eq 200) {
                    [IO.File]::WriteAllBytes($SaveAs, $response.Content.ReadAsByteArrayAsync().GetAwaiter().GetResult())
                } else { $text = $response.Content.ReadAsStringAsync().GetAwaiter().GetResult() }
            } catch {
                $status = 0
                $script:LastTrouble = $_.Exception.GetBaseException().Message
            }
            if ($status -ne 0 -and $status -ne 429 -and $status -lt 500) { return @{ Status = $status; Text = $text } }
            if ($status -ne 0) { $script:LastTrouble = "HTTP $status" }
            if (-not (Wait-Turn $attempt $wait)) { return $null }
        }
    }

    # -- installing the agent ------------------------------------------------------------------------------------------

    function Install-Agent {
        $arch = if ($env:PROCESSOR_ARCHITEW6432) { $env:PROCESSOR_ARCHITEW6432 } else { $env:PROCESSOR_ARCHITECTURE }
        if ($arch -ne 'AMD64') { Stop-Run System "only amd64 is supported; this is $arch" }
        $suffix = if ($Region -like 'cn-*') { 'amazonaws.com.cn' } else { 'amazonaws.com' }
        $source = if ($Packages) { $Packages } else { "https://s3.$Region.$suffix/amazon-ssm-$Region/latest" }
        if ($source -notmatch '^https://[^\s]+$') { Stop-Run Usage 'the package source (-Packages) must be an https:// URL' }
        $address = $source.TrimEnd('/') + '/windows_amd64/AmazonSSMAgentSetup.exe'
        $setup = Join-Path $Work 'AmazonSSMAgentSetup.exe'
        Write-Talk "downloading $address"
        $make = { New-Object System.Net.Http.HttpRequestMessage([Net.Http.HttpMethod]::Get, $address) }
        $answer = Get-Answer (New-Client 300) $make $setup
        if ($null -eq $answer) { Stop-Run Download "could not download ${address}: $script:LastTrouble" }
        $status = $answer.Status
        if ($status -ne 200) { Stop-Run Download "could not download ${address}: HTTP $status" }
        Confirm-Signature $setup
        $run = Start-Process -FilePath $setup -ArgumentList @('/q', '/log', "`"$(Join-Path $Work 'install.log')`"") -Wait -PassThru
        if (@(0, 3010) -notcontains $run.ExitCode) { Stop-Run Install "the setup program ended with $($run.ExitCode)" }
        if (-not (Test-Agent)) { Stop-Run Install "the setup program left no $Agent" }
    }

    function Confirm-Signature([string]$File) {
        $signature = Get-AuthenticodeSignature -LiteralPath $File
        $signer = ''
        if ($signature.SignerCertificate) {
            $signer = $signature.SignerCertificate.GetNameInfo([Security.Cryptography.X509Certificates.X509NameType]::SimpleName, $false)
        }
        if ($signature.Status -ne 'Valid') { Stop-Run Signature "the setup program's signature is $($signature.Status); nothing was installed" }
        # The whole name, or its first words: "Amazon" stands for "Amazon.com Services LLC", not for "Amazonas Ltd".
        if ($signer -notmatch ('^' + [regex]::Escape($Publisher) + '($|[ .,])')) {
            Stop-Run Signature "the setup program is signed by $signer, not by $Publisher; nothing was installed"
        }
    }

    # -- enrolment -----------------------------------------------------------------------------------------------------

    # Key and node id before, of the run that was cut short or new; the same key is granted the same activation.
    function Get-EnrolmentKey {
        if (Test-Path -LiteralPath $KeyFile -PathType Leaf) {
            $match = [regex]::Match([IO.File]::ReadAllText($KeyFile), '^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) (mi-[0-9A-Za-z]+|none)\s*$')
            if ($match.Success) { return @{ Key = $match.Groups[1].Value; NodeBefore = $match.Groups[2].Value } }
        }
        return New-EnrolmentKey
    }

    function New-EnrolmentKey {
        $before = Get-NodeId
        if (-not $before) { $before = 'none' }
        $key = [Guid]::NewGuid().ToString()
        [IO.File]::WriteAllText("$KeyFile.new", "$key $before")
        if (Test-Path -LiteralPath $KeyFile) { Remove-Item -LiteralPath $KeyFile -Force }
        [IO.File]::Move("$KeyFile.new", $KeyFile)
        return @{ Key = $key; NodeBefore = $before }
    }

    function Get-MachineMark {
        $found = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\Cryptography' -Name MachineGuid -ErrorAction SilentlyContinue
        if (-not $found) { return '' }
        # Not the id itself leaves the machine, but one derived from it.
        $plain = [Text.Encoding]::ASCII.GetBytes('moorings:' + $found.MachineGuid.ToLowerInvariant().Replace('-', ''))
        $digest = [Security.Cryptography.SHA256]::Create().ComputeHash($plain)
        return ([BitConverter]::ToString($digest).Replace('-', '').ToLowerInvariant()).Substring(0, 32)
    }

    function Get-RequestBody([string]$Key) {
        $name = [Net.Dns]::GetHostName() -replace '[^A-Za-z0-9._-]', ''
        $node = "`"name`":`"$($name.Substring(0, [Math]::Min(64, $name.Length)))`""
        $mark = Get-MachineMark
        if ($mark) { $node += ",`"machine_id`":`"$mark`"" }
        $wanted = if ($Pool) { ",`"pool`":`"$Pool`"" } else { '' }
        return "{`"key`":`"$Key`",`"node`":{$node}$wanted}"
    }

    # A member that occurs twice, or holds any other character, is refused.
    function Get-Member([string]$Text, [string]$Name, [string]$Pattern) {
        $named = [regex]::Matches($Text, "`"$Name`"")
        $match = [regex]::Match($Text, "`"$Name`"\s*:\s*`"($Pattern)`"\s*[,}]")
        if ($named.Count -ne 1 -or -not $match.Success) { Stop-Run Answer "the answer of $Url holds no proper $Name" }
        return $match.Groups[1].Value
    }

    function Get-Activation([string]$Key) {
        $body = Get-RequestBody $Key
        $make = {
            $request = New-Object System.Net.Http.HttpRequestMessage([Net.Http.HttpMethod]::Post, "$Url/activations")
            $request.Content = New-Object System.Net.Http.StringContent($body, [Text.Encoding]::UTF8, 'application/json')
            $request
        }
        $answer = Get-Answer (New-Client 35) $make ''
        if ($null -eq $answer) {
            Stop-Run Busy "no activation before the deadline, last: $script:LastTrouble; run this again later, the same grant is kept"
        }
        $status = $answer.Status
        if ($status -eq 403) { Stop-Run Refused "refused (403) by ${Url}: no rule lets this server in, or not into this pool" }
        if ($status -ge 400) { Stop-Run Rejected "the enrolment API rejected the request: HTTP $status" }
        if (@(200, 201) -notcontains $status) { Stop-Run Answer "unexpected answer from ${Url}: HTTP $status" }
        return @{
            Id = Get-Member $answer.Text 'ActivationId' '[0-9A-Za-z-]{36}'
            Code = Get-Member $answer.Text 'ActivationCode' '[0-9A-Za-z+/=][0-9A-Za-z+/=_-]{19,249}'
            Region = Get-Member $answer.Text 'Region' '[a-z][a-z0-9-]{4,31}'
        }
    }

    # done, anew (this activation is of no use), again (later) or no; and the agent's words.
    function Register-Node($Activation) {
        $ErrorActionPreference = 'Continue'  # what a program writes to its standard error is no exception
        $said = (& $Agent -register -code $Activation.Code -id $Activation.Id -region $Activation.Region -y 2>&1 | Out-String)
        $ended = $LASTEXITCODE
        $ErrorActionPreference = 'Stop'
        $said = $said.Replace($Activation.Code, '(code)')
        $problem = [regex]::Match($said, 'ERROR ([^\r\n]*)').Groups[1].Value
        if (-not $problem) { $problem = ($said -replace '\s+', ' ').Trim() }
        $verdict = 'no'
        if ($ended -eq 0) {
            if (-not (Get-NodeId)) { Stop-Run Registration 'the agent reported success, but holds no registration' }
            $verdict = 'done'
        } elseif ($said -match 'RegistrationLimitExceeded|ActivationExpired|InvalidActivation') { $verdict = 'anew' }
        elseif ($said -match 'RequestError|Throttl|TooMany|InternalServerError|ServiceUnavailable') { $verdict = 'again' }
        return @{ Verdict = $verdict; Problem = $problem }
    }

    function Enter-Node {
        $mine = Get-EnrolmentKey
        $tries = 1
        $id = Get-NodeId
        # Forced, registered anew, then cut short: done but for the start.
        if ($id -and $id -ne $mine.NodeBefore) { return }
        for ($attempt = 0; ; $attempt++) {
            $outcome = Register-Node (Get-Activation $mine.Key)
            switch ($outcome.Verdict) {
                'done' { return }
                'no' { Stop-Run Registration "registration failed: $($outcome.Problem)" }
                'anew' {
                    if ($tries -ge $RegistrationTries) { Stop-Run Registration "registration failed with $tries activations: $($outcome.Problem)" }
                    $tries++
                    $mine = New-EnrolmentKey
                }
            }
            if (-not (Wait-Turn $attempt 0)) { Stop-Run Registration "registration failed until the deadline: $($outcome.Problem)" }
        }
    }

    # -- the three ways through ----------------------------------------------------------------------------------------

    function Complete-Node([string]$Told) {
        if (Test-Path -LiteralPath $KeyFile) { Remove-Item -LiteralPath $KeyFile -Force }
        Write-Output "$(Get-NodeId) is registered$Told; the agent runs"
    }

    function Set-Node {
        if ((Get-NodeId) -and -not $Force -and (Test-Agent)) {
            if (-not (Test-Running) -or (Test-Path -LiteralPath $KeyFile)) { Start-Agent }
            Complete-Node ' already'
            return
        }
        if ($Url -notmatch '^https://[^\s"\\]+$') { Stop-Run Usage "the enrolment API's URL must be given (-Url), and start with https://" }
        if ($Region -cnotmatch '^[a-z][a-z0-9-]{4,31}$') { Stop-Run Usage 'the Region must be given (-Region)' }
        if ($Pool -cnotmatch '^([a-z0-9][a-z0-9-]{0,31})?$') { Stop-Run Usage "a pool's name has lower-case letters, digits and dashes only" }
        if (-not (Test-Agent)) { Install-Agent }
        if ($Force -or -not (Get-NodeId)) { Enter-Node }
        Start-Agent
        Complete-Node " in $Region"
    }

    function Remove-Node {
        $id = Get-NodeId
        if (Test-Agent) {
            Stop-Service -Name $Service -Force -ErrorAction SilentlyContinue
            $ErrorActionPreference = 'Continue'
            & $Agent -register -clear *> $null
            $ErrorActionPreference = 'Stop'
            Uninstall-Agent
        }
        if ($id) { Write-Output "still in Systems Manager; where you have the rights, run: moorings nodes deregister $id" }
        foreach ($path in @((Join-Path $Data 'Vault'), (Join-Path $Data 'registration'), $State)) {
            if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path -Recurse -Force }
        }
        Write-Talk 'removed from this server'
    }

    function Uninstall-Agent {
        $places = @('HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\*', 'HKLM:\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\*')
        $entries = @(Get-ItemProperty -Path $places -ErrorAction SilentlyContinue |
                Where-Object { $_.PSObject.Properties['DisplayName'] -and $_.DisplayName -like 'Amazon SSM Agent*' })
        foreach ($entry in ($entries | Sort-Object { -not $_.PSObject.Properties['QuietUninstallString'] })) {
            if (-not (Test-Agent)) { break }  # the setup program's entry takes that of the package inside with it
            if ($entry.PSObject.Properties['QuietUninstallString']) {
                $run = Start-Process -FilePath "$env:SystemRoot\System32\cmd.exe" -ArgumentList @('/d', '/c', "`"$($entry.QuietUninstallString)`"") -Wait -PassThru
            } else {
                $run = Start-Process -FilePath "$env:SystemRoot\System32\msiexec.exe" -ArgumentList @('/x', $entry.PSChildName, '/qn', '/norestart') -Wait -PassThru
            }
            Write-Talk "uninstalling ended with $($run.ExitCode)"
        }
        if (Test-Agent) { Stop-Run Uninstall "could not remove the agent; remove 'Amazon SSM Agent' in Installed apps, then -Uninstall again" }
    }

    # Anybody may create a folder in ProgramData: one that is not the administrators' own is thrown away.
    function Initialize-State {
        $trusted = @('S-1-5-18', 'S-1-5-32-544')
        if (Test-Path -LiteralPath $State) {
            $owner = (Get-Acl -LiteralPath $State).GetOwner([Security.Principal.SecurityIdentifier]).Value
            if ($trusted -notcontains $owner) { Remove-Item -LiteralPath $State -Recurse -Force }
        }
        New-Item -ItemType Directory -Path $State -Force | Out-Null
        $acl = New-Object System.Security.AccessControl.DirectorySecurity
        $acl.SetAccessRuleProtection($true, $false)
        $acl.SetOwner((New-Object System.Security.Principal.SecurityIdentifier 'S-1-5-32-544'))
        foreach ($sid in $trusted) {
            $who = New-Object System.Security.Principal.SecurityIdentifier $sid
            $acl.AddAccessRule((New-Object System.Security.AccessControl.FileSystemAccessRule($who, 'FullControl', 'ContainerInherit,ObjectInherit', 'None', 'Allow')))
        }
        Set-Acl -LiteralPath $State -AclObject $acl
        Get-ChildItem -LiteralPath $State -Filter 'work.*' | Remove-Item -Recurse -Force  # of runs that were killed
        $folder = Join-Path $State ('work.' + [Guid]::NewGuid().ToString('N'))
        New-Item -ItemType Directory -Path $folder | Out-Null
        return $folder
    }

    function Enter-Lock {
        $made = New-Object System.Threading.Mutex($false, 'Global\MooringsEnrolment')
        try { $mine = $made.WaitOne([TimeSpan]::FromSeconds($Deadline)) } catch [Threading.AbandonedMutexException] { $mine = $true }
        if (-not $mine) { Stop-Run Locked 'another run is at work on this server and did not end in time' }
        return $made
    }

    $ended = 0
    $lock = $null
    $Work = ''
    $script:LastTrouble = ''
    try {
        $identity = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
        if (-not $identity.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) { Stop-Run Root 'must run as administrator' }
        if ($PSVersionTable.PSVersion -lt [Version]'5.1') { Stop-Run System 'Windows PowerShell 5.1 is needed' }
        Add-Type -AssemblyName System.Net.Http
        [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
        $Url = (Select-Setting $Url 'MOORINGS_URL' $MOORINGS_URL).TrimEnd('/')
        $Region = Select-Setting $Region 'MOORINGS_REGION' $MOORINGS_REGION
        $Packages = Select-Setting $Packages 'MOORINGS_PACKAGES' $MOORINGS_PACKAGES
        $Pool = Select-Setting $Pool 'MOORINGS_POOL' $MOORINGS_POOL
        $Publisher = Select-Setting $Publisher 'MOORINGS_PUBLISHER' 'Amazon'
        $Deadline = Get-Seconds 'MOORINGS_DEADLINE' '900'
        $RetryBase = Get-Seconds 'MOORINGS_RETRY_BASE' '1'
        $RetryCap = Get-Seconds 'MOORINGS_RETRY_CAP' '20'
        $StartWait = Get-Seconds 'MOORINGS_START_WAIT' '60'
        $StartPoll = Get-Seconds 'MOORINGS_START_POLL' '0.5'
        $StartStay = Get-Seconds 'MOORINGS_START_STAY' '2'
        $lock = Enter-Lock
        $Work = Initialize-State
        if ($Uninstall) { Remove-Node } else { Set-Node }
    } catch {
        $problem = $_.Exception
        if ($problem.Data.Contains('ExitCode')) {
            $ended = $problem.Data['ExitCode']
            Write-Talk $problem.Message
        } else {
            $ended = $ExitCode.Unexpected
            Write-Talk "unexpected failure in line $($_.InvocationInfo.ScriptLineNumber) ($($problem.GetType().Name)); please report it"
        }
    } finally {
        if ($Work -and (Test-Path -LiteralPath $Work)) { Remove-Item -LiteralPath $Work -Recurse -Force }
        if ($lock) { $lock.ReleaseMutex() }
    }
    exit $ended
}

Invoke-MooringsBootstrap @args
