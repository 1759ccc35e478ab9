"""The role token on disk: the file that the AWS CLI reads too, and the note of when it was fetched."""

import configparser
import json
from datetime import UTC, datetime

from localcloud.machines.agent.places import Places, go_json, make_directory, write_private
from localcloud.machines.agent.signing import Token


def store(places: Places, node_id: str, token: Token) -> None:
    """Write the token and what belongs to it."""
    places.credentials.parent.mkdir(parents=True, exist_ok=True)
    write_private(
        places.credentials,
        "[default]\n"
        f"aws_access_key_id     = {token.access_key}\n"
        f"aws_secret_access_key = {token.secret_key}\n"
        f"aws_session_token     = {token.session_token}\n\n",
    )
    make_directory(places.identity.parent, 0o700)
    write_private(
        places.identity,
        go_json(
            {
                "SchemaVersion": "1.1",
                "InstanceId": node_id,
                "IdentityType": "OnPrem",
                "ShareFile": str(places.credentials),
                "ShareProfile": "",
                "CredentialsExpiresAt": _stamp(token.expires_at, digits=3),
                "CredentialsRetrievedAt": _stamp(token.retrieved_at, digits=9),
                "CredentialSource": "SSM",
            }
        ),
    )


def load(places: Places, node_id: str) -> Token | None:
    """The stored token of this node; None if there is none or it is unreadable."""
    if not places.identity.is_file() or not places.credentials.is_file():
        return None
    try:
        note = json.loads(places.identity.read_text())
        parser = configparser.RawConfigParser()
        parser.read_string(places.credentials.read_text())
        section = parser["default"]
        if note["InstanceId"] != node_id:
            return None
        return Token(
            access_key=section["aws_access_key_id"],
            secret_key=section["aws_secret_access_key"],
            session_token=section["aws_session_token"],
            retrieved_at=_instant(note["CredentialsRetrievedAt"]),
            expires_at=_instant(note["CredentialsExpiresAt"]),
        )
    except (KeyError, ValueError, configparser.Error):
        return None


def _stamp(instant: datetime, *, digits: int) -> str:
    fraction = f"{instant.microsecond:06d}000"[:digits]
    return f"{instant.strftime('%Y-%m-%dT%H:%M:%S')}.{fraction}Z"


def _instant(text: str) -> datetime:
    # Nanoseconds are more than datetime reads.
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction[:6].ljust(6, '0')}").replace(tzinfo=UTC)
