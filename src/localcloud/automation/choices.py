"""What this engine chose where the service's behaviour is not published. One table; change a choice here.

| question | choice |
|---|---|
| a key twice in one map of a document | refused, in JSON and YAML |
| YAML words beyond JSON's | `yes`, `no`, `on`, `off`, dates and numbers with a leading zero stay text |
| YAML aliases; merge keys | allowed within `MAX_NODES`, recursive ones refused; `<<` is a key like any other |
| schemaVersion written as a number, 0.3 | taken |
| properties that no documentation names | refused, so that a misspelt one is noticed |
| inputs that an action does not have | refused in the service's words; `aws:pause` and API calls take any |
| Change Manager's elements | taken in every Automation document |
| control-flow cycle by way of onCancel | none: a cancelled run never comes back to the steps before |
| loop inside a loop | refused |
| `onCancel: Abort` on aws:loop and aws:updateVariable | taken, as it says the default |
| more than one operator beside one Variable | refused |
| delay between attempts | `RETRY_DELAY` |
| polls of waitForAwsResourceProperty; an API error meanwhile | `WAIT_POLL_INTERVAL`; polled further |
| Numeric and Boolean operators on text that is none, or unresolved | false |
| a list or map as operand of a String operator | its JSON text |
| a failed and a timed-out critical step | the first one decides |
| conversions outside the documented table | the step fails (PostVerification) |
| map or longer list selected as String | its compact JSON text |
| element of a StringList that is no text | as text: decimal, true/false, compact JSON |
| text as Boolean | true and false in any case; else no conversion |
| null at the end of a selector's path | as if the path were missing: no output |
| filter or deep scan without a match | an empty list for list types; no output otherwise |
| signs that `Outputs` escape in JSON | = < > & ' U+2028 U+2029 (recorded: =; the others by the same library) |
| text inside `script` of aws:executeScript | literal, never interpolated |
| a reference as the only element of a list, of any list type | is the list itself |
| blanks or a newline around a reference | embedded text, not a whole value |
| values that come in by a reference | not looked through for references again; a parameter's default once |
| dates and times of `global:` | UTC |
| empty Iterators | no pass, Success |
| an inner step, not critical, that aborts a loop | ends the loop; the run is not marked |
| rate-control parent with failed children within MaxErrors | Success |
| aws:runCommand whose command timed out | Failed |
| outputs of a failed aws:runCommand | stay readable |
| a running command when its step is cancelled or times out | goes on (`CANCEL_COMMANDS`) |
| interval at which aws:runCommand looks at its command | `COMMAND_POLL_INTERVAL` |
| Output of a command with several steps on one node | their outputs, joined by newlines |
| times and bytes in API responses | ISO 8601 text; base64 text |
| what property actions compare | text: booleans True and False, a list of one its element, maps JSON |
| outputs of a failed aws:invokeLambdaFunction | stay readable |
| more output than 100 KB of a script, or 200 KB of a function | the step fails (PostVerification) |
| lists of more than 100 elements that a script returns | cut, at any depth |
| runtimes of scripts | any python3.N and PowerShell version is taken; the host's own runs it |
| unset limit for repeating throttled calls | 0: not repeated |
| allowedPattern | must match the whole value, as Java's `matches` does; see `java_patterns` for the rest |
| a failed input check | the step fails at once, its further attempts are not made |
| cancelled after a critical failure, or while failing | Cancelled |
| a step that is cancelled while a call hangs | is over once the action was told; a late answer is dropped |
| a child when its parent's step is cancelled or timed out | is cancelled |
| timeoutSeconds of a loop | for all its passes together; the step inside is Cancelled, the loop TimedOut |
| maxAttempts of a loop | one attempt |
| a cancel inside a loop, onCancel to a step of the body | no further pass; the loop is Cancelled |
| MaxIterations left out in a do-while loop | 100 |
| onCancel flow after its two minutes | its step is Cancelled, the execution too |
| StopAutomationExecution Complete | no further step begins; the status is that of the steps so far |
| Interactive | each step of the document waits for StartStep; steps inside loops do not |
| StopStep | the step is Cancelled, the flow goes on as after a failure |
| who may Approve | who the ARN says; the operator decides for the next approver who has not |
| ApproverDecisions | maps of Approver, Decision, Comment |
| rate control without MaxErrors | 0 |
| ramp-up | one child; whenever as many as may run are over, twice as many may |
| MaxErrors as a percentage (10 % of 50: two pages, two answers) | floor(p × N) are tolerated |
| a Cancelled child under rate control | no error |
| targets behind the error that was one too many | stay Pending |
| targets of which there are none | the parent fails |
| names of a parent's steps with TargetMaps | the map's only value, else the map as JSON |
| executions that wait for a child | do not count as running; one that goes on again is never put off |
| nesting | counts executeAutomation steps; a parent under rate control is no level |
| steps that GetAutomationExecution shows | 100, then StepExecutionsTruncated |
| ResponseCode of a step that succeeded | 0 |
| Inputs of a loop's record | all but Steps and LoopCondition |
| FailureDetails.Details | VerificationErrorMessage: the failure's message |
| a default of Parameter Store that cannot be read | the run fails before its first step |
| a Timestamp of aws:sleep under a scaled clock | the time that remains is scaled like a duration |
| role and rights of a child execution | its own role, else the starter's; PassRole is not asked again |
| order of the listings | executions: the newest first; steps: the document's, the passes of a loop behind the loop |
| ExecutionStartTime | when it was asked for, also of one that was queued |
| tags in Targets | those of managed nodes |
| a default against allowedPattern, allowedValues, sizes | not checked, unless allowedValues lacks it at create |
| an empty list for a scalar parameter | refused; for StringList and MapList an empty list |
"""

from datetime import timedelta

RETRY_DELAY = timedelta(0)
WAIT_POLL_INTERVAL = timedelta(seconds=5)
COMMAND_POLL_INTERVAL = timedelta(seconds=3)
CANCEL_COMMANDS = False
MAX_DOCUMENT_BYTES = 64 * 1024
MAX_NODES = 100_000  # values of a document after its aliases are followed
MAX_DEPTH = 64  # of maps and lists in each other
