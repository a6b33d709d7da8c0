"""Whom to believe: certs.d, the machine's certificate authorities, and the TLS contexts made of them.

Sources: containers-certs.d(5); docker's "Verify repository client with certificates"; SSL_CERT_FILE and SSL_CERT_DIR as
OpenSSL has them.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from pyrt.errors import UsageError
from pyrt.registry.config_paths import ConfigPaths
from pyrt.values import dataclass

# Distributions keep the bundle in different places, and a Python that was built elsewhere looks in none of them.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_HUB = ("docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTrust:
    """What certs.d says of one host: PEM files of further authorities, and (certificate, key) pairs of ours."""

    authorities: tuple[str, ...] = ()
    client_pairs: tuple[tuple[str, str], ...] = ()


def host_trust(paths: ConfigPaths, host: str, port: int) -> HostTrust:
    """Collects the files of all certs.d directories for a host. UsageError where a certificate has no key."""
    name = f"[{host}]" if ":" in host else host
    names = [f"{name}:{port}"] + ([name] if port == 443 else [])
    if port == 443 and host in _HUB:
        names += [other for other in _HUB if other != host]
    authorities: list[str] = []
    pairs: list[tuple[str, str]] = []
    for directory in paths.certs_dirs:
        for place in (os.path.join(directory, each) for each in names):
            for file in _names(place):
                path = os.path.join(place, file)
                if file.endswith(".crt"):
                    authorities.append(path)
                elif file.endswith(".cert"):
                    pairs.append((path, _key_of(path)))
    return HostTrust(authorities=tuple(authorities), client_pairs=tuple(pairs))


def tls_context(trust: HostTrust, *, verify: bool = True, environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """A client's TLS context, at least TLS 1.2. Raises UsageError for a file that cannot be used.

    Without ``verify`` any certificate does: for registries that are marked insecure.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if verify:
        _trust_machine(context, environ)
        for path in trust.authorities:
            _load(context, path)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for certificate, key in trust.client_pairs:
        try:
            context.load_cert_chain(certificate, key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise UsageError(f"{certificate}: cannot be used with its key: {error}") from error
    return context


def _trust_machine(context: ssl.SSLContext, environ: Mapping[str, str]) -> None:
    file, listed = environ.get("SSL_CERT_FILE", ""), environ.get("SSL_CERT_DIR", "")
    directories = [path for path in listed.split(os.pathsep) if os.path.isdir(path)]
    if listed and not directories and not file:
        raise UsageError(f"SSL_CERT_DIR: no such directory: {listed}")
    bundle = environ.get("REQUESTS_CA_BUNDLE", "") if not file and not listed else ""
    for path in [path for path in (file, *directories, bundle) if path] or [_bundle()]:
        _load(context, path)


def _bundle() -> str:
    for path in _BUNDLES:
        if os.path.isfile(path):
            return path
    import certifi  # comes with httpx

    return certifi.where()


def _load(context: ssl.SSLContext, path: str) -> None:
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as error:
        raise UsageError(f"{path}: no certificates can be read from it: {error}") from error


def _key_of(certificate: str) -> str:
    key = certificate.removesuffix(".cert") + ".key"
    if not os.path.exists(key):
        raise UsageError(f"{certificate}: its key {os.path.basename(key)} is missing")
    return key


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
