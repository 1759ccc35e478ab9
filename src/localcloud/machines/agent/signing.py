"""The agent's own signatures: its RSA key in the shape of SigV4, and SigV4 itself with a role token."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEY_BITS = 2048
SALT_BYTES = 32
ALGORITHM = "AWS4-HMAC-SHA256"

HeaderList = list[tuple[str, str]]
Sign = Callable[[str, str], str]  # (scope, string to sign) -> signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Role credentials, as the token call answers them and the credentials file holds them."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    retrieved_at: datetime
    expires_at: datetime

    @property
    def refresh_at(self) -> datetime:
        """Half of its life."""
        return self.retrieved_at + (self.expires_at - self.retrieved_at) / 2


@dataclass(frozen=True, slots=True)
class NodeKey:
    """The node's RSA key."""

    key: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> "NodeKey":
        """A new key."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS))

    @classmethod
    def from_vault(cls, text: str) -> "NodeKey":
        """The key that `for_vault` wrote."""
        key = serialization.load_der_private_key(base64.b64decode(text), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return cls(key)

    def for_vault(self) -> str:
        """Base64 of the DER (PKCS#1)."""
        der = self.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return base64.b64encode(der).decode()

    def public(self) -> str:
        """Base64 of the DER (SubjectPublicKeyInfo), as the service is told."""
        der = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(der).decode()

    def sign(self, _scope: str, text: str) -> str:
        """RSASSA-PSS with SHA-256 over the string to sign itself."""
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=SALT_BYTES)
        return base64.b64encode(self.key.sign(text.encode(), pss, hashes.SHA256())).decode()


def hmac_sign(secret_key: str) -> Sign:
    """The ordinary SigV4 signature with this secret."""

    def sign(scope: str, text: str) -> str:
        key = b"AWS4" + secret_key.encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    return sign


def authorization(
    *,
    method: str,
    path: str,
    query: str = "",
    signed: HeaderList,
    body: bytes,
    date: str,
    scope: str,
    credential: str,
    sign: Sign,
) -> str:
    """The Authorization header over the headers in `signed` (lower-case names, sorted); `query` is encoded."""
    names = ";".join(name for name, _ in signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed)
    canonical = "\n".join((method, path, query, lines, names, hashlib.sha256(body).hexdigest()))
    text = "\n".join((ALGORITHM, date, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    return f"{ALGORITHM} Credential={credential}/{scope}, SignedHeaders={names}, Signature={sign(scope, text)}"
