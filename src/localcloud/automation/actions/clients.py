"""How the clients of an execution are set up: whoever gives an execution its surroundings makes them with this."""

from botocore.config import Config

CALL_LIMIT = 25  # seconds that one API call of a runbook may take
INVOKE_LIMIT = 300  # seconds that one invocation of a function may take

_CONNECT = 5  # seconds


def client_config(service: str) -> Config:
    """The configuration of a boto3 client of `service`: no retries, as a step's own attempts are the only ones.

    What is throttled is tried again by `throttling.RetriesThrottling`, within the account's limit.
    """
    patience = INVOKE_LIMIT if service == "lambda" else CALL_LIMIT
    return Config(
        connect_timeout=_CONNECT,
        read_timeout=patience,
        retries={"mode": "standard", "total_max_attempts": 1},
        user_agent_extra="ssm-automation",
        # Two hundred executions at once share a role's client.
        max_pool_connections=50,
    )
