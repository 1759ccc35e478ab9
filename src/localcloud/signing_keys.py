"""Private keys of what signs in a local cloud: made once for each purpose in a process, however many clouds it runs.

Making one takes longer than everything else a small cloud does. Nothing rests on their being apart: what they sign
names the account or the tenant. They are never written to disk.
"""

import functools
import threading

from cryptography.hazmat.primitives.asymmetric import ec, rsa

_BITS = 2048
_lock = threading.Lock()


def rsa_key(purpose: str) -> rsa.RSAPrivateKey:
    """The RSA key for `purpose`, always the same in this process."""
    with _lock:
        return _rsa_key(purpose)


def p384_key(purpose: str) -> ec.EllipticCurvePrivateKey:
    """The P-384 key for `purpose`, always the same in this process."""
    with _lock:
        return _p384_key(purpose)


@functools.cache
def _rsa_key(_purpose: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_BITS)


@functools.cache
def _p384_key(_purpose: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())
