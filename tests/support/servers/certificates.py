"""Certificates for tests of TLS: an authority of the test's own, and a certificate for 127.0.0.1 signed by it."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "sesame"


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files, in PEM.

    Attributes:
        authority: the certificate of the authority.
        certificate: for 127.0.0.1, of servers and clients.
        key: its private key.
        locked_key: the same, encrypted with `PASSWORD`.
        other_authority: one that has signed nothing.
    """

    authority: Path
    certificate: Path
    key: Path
    locked_key: Path
    other_authority: Path


def make_certificates(directory: Path) -> Certificates:
    """Makes all files in the directory, readable by everybody (other programs run as other users)."""
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _signed("Authority", authority_key, authority_key, None)
    files = Certificates(*(directory / f"{name}.pem" for name in ("authority", "own", "key", "locked", "other")))
    other_key = ec.generate_private_key(ec.SECP256R1())
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.other_authority.write_bytes(
        _signed("Other", other_key, other_key, None).public_bytes(serialization.Encoding.PEM)
    )
    own = _signed("127.0.0.1", key, authority_key, authority)
    files.certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))
    for path, lock in (
        (files.key, serialization.NoEncryption()),
        (files.locked_key, serialization.BestAvailableEncryption(PASSWORD.encode())),
    ):
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, lock)
        )
    return files


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return made.sign(signer, hashes.SHA256())
