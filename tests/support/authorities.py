"""Private certificate authorities and certificates with every flaw that a client has to notice."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, kw_only=True)
class Served:
    """PEM files of a server: chain and key, and the authority to be trusted."""

    chain: Path
    key: Path
    authority: Path

    @property
    def files(self) -> tuple[Path, Path, Path]:
        return self.chain, self.key, self.authority

    def context(self) -> ssl.SSLContext:
        """A server's TLS context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


class Authority:
    """A private certificate authority whose files lie in ``directory``."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._ca = trustme.CA()
        self.certificate = directory / "ca.crt"
        self._ca.cert_pem.write_to_path(str(self.certificate))

    def served(self, *names: str, expired: bool = False) -> Served:
        """A server certificate for ``names`` (hosts or addresses)."""
        after = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc) if expired else None
        issued = self._ca.issue_cert(*names, not_after=after, key_type=trustme.KeyType.RSA)
        chain, key = self.directory / f"{names[0]}-{expired}.pem", self.directory / f"{names[0]}-{expired}-key.pem"
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return Served(chain=chain, key=key, authority=self.certificate)

    def client(self, directory: Path) -> None:
        """A client certificate as client.cert and client.key in ``directory`` (of certs.d)."""
        issued = self._ca.issue_cert("client@example")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "client.cert").write_bytes(issued.cert_chain_pems[0].bytes())
        issued.private_key_pem.write_to_path(str(directory / "client.key"))

    def trust(self, directory: Path) -> None:
        """Puts the authority into a directory of certs.d."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "ca.crt").write_bytes(self.certificate.read_bytes())


def token_key(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its RSA key, for a token server to sign with."""
    directory.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a token server")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    chain, private = directory / "token.pem", directory / "token-key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, private
