"""Why a proof is refused: one error, and the exact reason, which is for the audit and for operators only."""

from enum import Enum

from moorings.errors import Refused


class Reason(Enum):
    """What was wrong with a proof, in the order in which it is looked at."""

    TOO_LONG = "it is longer than any honest one"
    NOT_ENVELOPE = "it is not what the metadata service answers"
    NOT_BASE64 = "it is not base64"
    NOT_SIGNED_DATA = "it is not signed data with its content attached"
    TOO_MANY_CERTIFICATES = "it holds more certificates than any honest one, or none"
    OTHER_CERTIFICATES = "it holds something else than certificates among its certificates"
    NOT_ONE_SIGNER = "it has not exactly one signer"
    SIGNER_UNKNOWN = "not exactly one of its certificates is the signer's"
    ALGORITHM = "it is signed with an algorithm that is not accepted"
    ATTRIBUTES = "its signed attributes do not belong to its content"
    NAME = "its signer's certificate is not for the cloud's metadata service"
    CHAIN = "its signer's certificate does not lead to a trusted root"
    KEY = "its signer's key is of a kind or size that is not accepted"
    SIGNATURE = "its signature is not its signer's over this content"
    CONTENT = "its content is not of the form that the cloud signs"
    NONCE = "it does not answer this challenge"
    TOO_OLD = "it was made too long ago"
    IN_FUTURE = "it was made in the future"
    EXPIRED = "it has expired"


class NotAttested(Refused):
    """A proof that proves nothing. `reason` says why; what is said outward never does (invariant 10)."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(
            f"the attested document is refused: {reason.value}",
            remedy="ask the metadata service for a new document with this challenge, and send it unchanged",
        )
        self.reason = reason
