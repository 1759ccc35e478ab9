@echo off
rem Windows runs this once as SYSTEM, at the end of Setup, from %WINDIR%\Setup\Scripts. It enrols the server.
rem Replace the URL by the output ApiGatewayInvokeURL of your stack. Setup looks at no exit code: read the log.
setlocal
set URL=https://API.execute-api.REGION.amazonaws.com/STAGE
set SCRIPT=%SystemRoot%\Temp\moorings.ps1
set LOG=%SystemRoot%\Temp\moorings.log
rem Behind a proxy: these two, and nothing else.
rem set https_proxy=http://proxy.example.com:3128
rem set no_proxy=.execute-api.REGION.amazonaws.com,169.254.169.254

rem A whole file first: curl tries again by itself, and a download cut short is never run.
curl.exe -fsS --proto =https --tlsv1.2 --retry 10 --retry-connrefused -o "%SCRIPT%" "%URL%/bootstrap/windows" >>"%LOG%" 2>&1
if errorlevel 1 (
  >>"%LOG%" echo moorings: the script could not be fetched, ended with 4
  exit /b 4
)
powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "%SCRIPT%" >>"%LOG%" 2>&1
set ENDED=%ERRORLEVEL%
>>"%LOG%" echo moorings: ended with %ENDED%
exit /b %ENDED%
