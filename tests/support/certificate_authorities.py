"""A certificate authority for one test, and the certificates it issues as Kubernetes' Secrets of type kubernetes.io/tls."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubectl import Manifest

VALID = datetime.timedelta(days=2)


class CertificateAuthority:
    """An authority that nobody knows but who is given its certificate."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"test authority {x509.random_serial_number():x}"[:64])
        self._certificate = _sign(self._name, self._key, self._name, self._key, x509.BasicConstraints(True, None))

    @property
    def certificate(self) -> str:
        """The authority's own certificate, by which clients verify those that it issues."""
        return _encode(self._certificate)

    def issue(self, secret: str, host: str) -> tuple[Manifest, str]:
        """Return a Secret with a new certificate for a host (or *.domain), and the certificate's serial number in hexadecimal digits."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = _sign(_name("server"), key, self._name, self._key, names)
        return _pack(secret, certificate, key), f"{certificate.serial_number:x}"

    def hand_over(self, secret: str) -> Manifest:
        """Return a Secret with the authority itself, for somebody who issues in its name."""
        return _pack(secret, self._certificate, self._key)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pack(secret: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Manifest:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": _encode(certificate), "tls.key": private.decode()},
    }


def _encode(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _sign(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID)
        .not_valid_after(now + VALID)
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    )
    return builder.sign(issuer_key, hashes.SHA256())
