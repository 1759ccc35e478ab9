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
