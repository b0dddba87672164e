"""Signatures of artifacts, as `cosign sign-blob --key` and OpenSSL make them. Used by retrieval.py.

ECDSA on P-256 with SHA-256, or Ed25519, in base64; over the bytes of a file, or over the list of a folder's files
(digests.py). Any of several public keys may have made it, so that keys can be changed one after the other.
"""

import base64
import binascii
import mmap
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from scoring_runtime.errors import InvalidSettingsError, SignatureInvalidError

MAX_SIGNATURE_BYTES = 4096
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
_ANOTHER_KIND = "spec.model.signature.publicKey is of another kind than ECDSA P-256 or Ed25519."

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey


def parse_keys(pem: str) -> list[PublicKey]:
    """Return the public keys in a text of PEM blocks. Raises InvalidSettingsError for none, or one of another kind."""
    blocks = _PEM.findall(pem)
    if not blocks:
        raise InvalidSettingsError(
            "spec.model.signature.publicKey holds no public key: give the PEM text that starts with BEGIN PUBLIC KEY."
        )
    return [_parse_key(block) for block in blocks]


def verify_signature(keys: list[PublicKey], signature: bytes, content: Path | bytes, sha256: bytes) -> None:
    """Check the base64 text of a signature of a file, or of a listing, whose sha256 is given.

    Raises SignatureInvalidError when none of the keys has made it.
    """
    try:
        raw = base64.b64decode(b"".join(signature.split()), validate=True)
    except binascii.Error as error:
        raise SignatureInvalidError(
            "The signature is not base64 text: give what `cosign sign-blob --key` prints, or `openssl` and then `base64`."
        ) from error
    if not any(_has_signed(key, raw, content, sha256) for key in keys):
        raise SignatureInvalidError(
            "The artifact's signature is not one by the key of spec.model.signature. Find out who made the artifact; "
            "only if it is meant, sign it with the key."
        )


def _parse_key(block: str) -> PublicKey:
    try:
        key = load_pem_public_key(block.encode())
    except ValueError as error:
        raise InvalidSettingsError("spec.model.signature.publicKey cannot be read as PEM. Correct it.") from error
    except UnsupportedAlgorithm as error:
        raise InvalidSettingsError(_ANOTHER_KIND) from error
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise InvalidSettingsError(_ANOTHER_KIND)


def _has_signed(key: PublicKey, signature: bytes, content: Path | bytes, sha256: bytes) -> bool:
    try:
        if isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, sha256, ECDSA(Prehashed(SHA256())))
        elif isinstance(content, bytes):
            key.verify(signature, content)
        else:
            _verify_file(key, signature, content)
    except InvalidSignature:
        return False
    return True


def _verify_file(key: Ed25519PublicKey, signature: bytes, path: Path) -> None:
    """Check a signature that takes the whole file: mapped, so that it need not fit into memory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            key.verify(signature, view)
        finally:
            view.release()
