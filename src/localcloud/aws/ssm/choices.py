"""What this emulation chose where the service's behaviour is not published. One table; change a choice here.

| question | choice |
|---|---|
| role that is missing, or does not trust ssm.amazonaws.com | ValidationException "Not existing role: <arn>" |
| a role that trusts everybody, without naming the service | refused as one that does not trust it |
| what a role's trust policy may demand | aws:SourceAccount, and aws:SourceArn `arn:aws:ssm:Region:account:*` |
| IamRole with a path (`service-role/Name`) | accepted; the last part is the role's name |
| expiration in the past, or over 30 days ahead | ValidationException |
| activation tags: one key twice, or over 50 | InvalidParameters; `aws:` keys: ValidationException |
| RegistrationsCount at zero | absent (the model's minimum is 1) |
| lag of RegistrationsCount | none, until `Activations.registrations_lag` is set |
| DescribeActivations: order, default page, unknown ids | oldest first, 50, simply absent; expired ones stay listed |
| deleted activation, unknown activation, wrong code | InvalidActivation, one text for all three |
| which refusal wins | InvalidActivation, ActivationExpired, RegistrationLimitExceeded, then the tier's limit |
| the same public key again, same activation and code | the same node, not counted, even if the activation is over |
| the same public key again with another activation | InstanceAlreadyRegistered |
| Region of an unsigned registration | the host name's; on a loopback address that of the activation |
| the standard tier's 1,001st node | RegistrationLimitExceeded; `ManagedNodes.refusals` counts it as `TIER_LIMIT` |
| back to the standard tier with over 1,000 nodes | ValidationException |
| node that has never sent a heartbeat | listed as ConnectionLost, without LastPingDateTime |
| silence after which PingStatus is ConnectionLost | `HEARTBEAT_THRESHOLD` (scaled): two heartbeats missed |
| both filter lists in one DescribeInstanceInformation | ValidationException |
| tag filter beside another filter, unknown filter key | InvalidFilterKey |
| unknown value of an enumerated filter | InvalidInstanceInformationFilterValue |
| forged or foreign NextToken | InvalidNextToken |
| SourceId and SourceType of a hybrid node | its own id, AWS::SSM::ManagedInstance (`ManagedNodes.set_source`) |
| IsLatestVersion | AgentVersion is at least `LATEST_AGENT_VERSION` |
| wrong node-key signature, clock more than 5 minutes off | InvalidSignatureException, status 400 |
| token call of an unknown or deregistered node | InvalidInstanceId with the id (as in the recordings' stand-in) |
| role token of a deregistered node | lives on; the agent's own calls get AccessDeniedException, status 400 |
| UpdateKeyPair | false, until `ManagedNodes.ask_for_new_key` sets it; the key's change clears it |
| AcknowledgeMessage, SendReply, FailMessage for an unknown message | InvalidMessageId, status 400 |
| many polls at once | `HELD_POLLS` are held, the others answered at once (the agent then pauses 2 s) |
| open control channel | the node is Online, however old its last heartbeat |
| tokens of a control channel | good once; of one node the last 8 are kept; a wrong one closes the channel with 1008 |
| message offered on the channel, not acknowledged | again after 5 s, on each new channel; after 3 times to polls too |
| agent without room (51402), or closing (51401) | offered again after 10 s |
| acknowledgements 51406, 51408; any other but 200 and 51405 | the invocation is Failed; Undeliverable |
| reply to a message that nobody sent | acknowledged on the channel, so that it ends; InvalidMessageId on ec2messages |
| CreateDocument without DocumentFormat, GetDocument without one | JSON, also for what was written in YAML |
| UpdateDocument without DocumentVersion | the latest version is meant |
| content that is not new | DuplicateDocumentContent, if any version of the document has the same text and attachments |
| documents of AWS: update, delete | InvalidDocumentOperation |
| reserved document names, attachments that cannot be read | ValidationException |
| URL of an attachment in GetDocument | absent |
| other document types | Policy, Session, AppConfig's are kept; Package, ChangeCalendar and the rest are refused |
| SendCommand with neither or both of InstanceIds and Targets | InvalidInstanceId |
| node given by id on another platform, found by tag | UnsupportedPlatformType; InvalidPlatform for that node |
| node found by tag that the caller may not use | AccessDenied for that node |
| node without a heartbeat so far | fits every platform |
| allowedPattern with an `{{ssm:}}` reference as value | left to the agent, which resolves it first |
| execution timeout of several steps | their sum; of steps that demand a platform, the slowest platform's |
| undelivered at TimeoutSeconds | offered no more, but Pending or Delayed until the total timeout |
| when Pending becomes Delayed | `DELAYED_AFTER` (scaled) without anybody fetching it |
| cancelled while the agent has it | Cancelling; Cancelled when the agent says so or after `CANCEL_GRACE` (scaled) |
| late results after an end | outputs of steps are still merged, the status stays |
| command without any success and too few errors | Incomplete, status Failed; see `commands/status.py` |
| Terminated, Undeliverable and their like | status Cancelled and Failed |
| document with several steps, GetCommandInvocation without PluginName | InvalidPluginName |
| unknown command id in GetCommandInvocation | InvocationDoesNotExist |
| skipped step | Success, code 0 |
| output of a step that is not over | not shown |
| lag of invocations after SendCommand | none, until `Commands.invocation_lag` is set |
| inventory of patching that cannot be read | InvalidItemContentException |
| compliance of type Patch | follows from AWS:PatchCompliance, until somebody puts items of that type |
| filters of compliance | every member of an item, and those of its execution |
"""

from datetime import timedelta

MAX_ACTIVATION_LIFE = timedelta(days=30)
DEFAULT_ACTIVATION_LIFE = timedelta(hours=24)
MAX_TAGS = 50
STANDARD_TIER_NODES = 1000  # hybrid nodes per account and Region
TIER_LIMIT = "RegistrationLimitExceeded (tier)"  # key of the refusals tally; the agent sees the plain code

HEARTBEAT = timedelta(minutes=5)
HEARTBEAT_THRESHOLD = 2 * HEARTBEAT
LATEST_AGENT_VERSION = "3.3.0.0"

TOKEN_LIFETIME = timedelta(hours=1)
POLL_HOLD = timedelta(seconds=15)
HELD_POLLS = 4096

MAX_DOCUMENT_BYTES = 64 * 1024
MAX_DOCUMENTS = 500  # of one account in one Region
MAX_DOCUMENT_VERSIONS = 1000
MAX_ATTACHMENTS = 5
MAX_ATTACHMENT_BYTES = 256 * 1024 * 1024

DELAYED_AFTER = timedelta(minutes=1)  # an invocation that nobody has fetched by then is Delayed
CANCEL_GRACE = timedelta(minutes=1)  # for the agent to end a cancelled command, then it is Cancelled anyhow
