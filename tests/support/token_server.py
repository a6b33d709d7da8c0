"""A token server for docker-registry's ``auth: token``: it signs as that registry expects, and counts.

Source: distribution, "Token Authentication Specification" and "Token Authentication Implementation"; the key id is the
one of libtrust: SHA-256 of the public key in DER form, its first 30 bytes in base32, in groups of four.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate

ISSUER, SERVICE = "a token server", "a registry"


class TokenServer:
    """Serves while entered. ``users`` maps names to passwords, ``refresh`` identity tokens to names.

    ``asked`` has (method, fields) of each request. ``life`` is how many seconds a token is good for the registry,
    ``said_life`` what expires_in says ("" for nothing). ``grant`` names the repositories that anybody may read.
    """

    def __init__(self, certificate: Path, key: Path, address: str = "127.0.0.1") -> None:
        self.users: dict[str, str] = {}
        self.refresh: dict[str, str] = {}
        self.public: set[str] = set()
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.life = 300
        self.expires_in: int | None = 300
        self._certificate = load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(private, rsa.RSAPrivateKey)
        self._key = private
        self._server = ThreadingHTTPServer((address, 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.realm = f"http://{address}:{self._server.server_port}/token"

    def __enter__(self) -> TokenServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def settings(self, bundle: Path) -> dict[str, str]:
        """The fields of docker-registry's ``auth: token``."""
        return {"realm": self.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(bundle)}

    def answer(self, method: str, fields: dict[str, list[str]], authorization: str) -> tuple[int, dict[str, object]]:
        """Status and document for one request."""
        self.asked.append((method, fields))
        user = self._user(method, fields, authorization)
        if user is None:
            return 401, {"details": "who are you"}
        scopes = [part for scope in fields.get("scope", []) for part in scope.split()]
        access = [entry for entry in map(self._access, scopes) if entry and (user or entry["name"] in self.public)]
        document: dict[str, object] = {"token": self.token(user, access)}
        if self.expires_in is not None:
            document["expires_in"] = self.expires_in
        if fields.get("offline_token") == ["true"] and user:
            document["refresh_token"] = f"identity-of-{user}"
            self.refresh[f"identity-of-{user}"] = user
        return 200, document

    def _user(self, method: str, fields: dict[str, list[str]], authorization: str) -> str | None:
        """The user's name, "" for nobody, None for somebody whose proof is wrong."""
        if method == "POST":
            if fields.get("grant_type") != ["refresh_token"]:
                return None
            return self.refresh.get(fields.get("refresh_token", [""])[0])
        if not authorization:
            return ""
        name, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        return name if self.users.get(name) == password else None

    @staticmethod
    def _access(scope: str) -> dict[str, object] | None:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        return {"type": kind, "name": name, "actions": actions.split(",")} if name else None

    def token(self, user: str, access: list[dict[str, object]]) -> str:
        """A signed JSON web token."""
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "kid": self._key_id()}
        times = {"exp": now + self.life, "nbf": now - 10, "iat": now}
        claims = {"iss": ISSUER, "sub": user, "aud": SERVICE, **times, "jti": f"{time.time_ns()}", "access": access}
        signed = f"{_url64(json.dumps(header).encode())}.{_url64(json.dumps(claims).encode())}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_url64(signature)}"

    def _key_id(self) -> str:
        spki = self._certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        text = base64.b32encode(hashlib.sha256(spki).digest()[:30]).decode()
        return ":".join(text[start : start + 4] for start in range(0, len(text), 4))


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _handler(tokens: TokenServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(parse_qs(urlsplit(self.path).query))

        def do_POST(self) -> None:
            self._reply(parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()))

        def _reply(self, fields: dict[str, list[str]]) -> None:
            status, document = tokens.answer(self.command, fields, self.headers.get("authorization", ""))
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler
