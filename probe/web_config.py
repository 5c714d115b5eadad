"""The ``--web.config.file`` of the exporter toolkit: TLS, client certificates, basic auth, headers."""

import ssl
from pathlib import Path
from typing import Final

import msgspec

from probe.config import read_yaml
from probe.fields import ConfigError, Fields, choice, shown, text, texts

CLIENT_AUTH: Final = (
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)
VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
HEADERS: Final = (
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
)
"""The headers that may be set, as in the toolkit."""


class Tls(msgspec.Struct, frozen=True):
    """The certificate shown, and what is asked of clients."""

    cert_file: str
    key_file: str
    client_auth_type: str = "NoClientCert"
    client_ca_file: str | None = None
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()


class WebConfig(msgspec.Struct, frozen=True):
    """How the web server is protected; ``basic_auth_users`` maps a name to its bcrypt hash."""

    tls: Tls | None = None
    headers: dict[str, str] = {}
    basic_auth_users: dict[str, bytes] = {}


def load_web_config(path: Path) -> WebConfig:
    """Read the file; raises ``ConfigError`` with every mistake. Paths in it are relative to it."""
    problems: list[str] = []
    top = Fields(read_yaml(path), str(path), "", problems)
    tls = _tls(top.inner("tls_server_config"), path.parent) if "tls_server_config" in top else None
    http = top.inner("http_server_config")
    http.take("http2", _boolean, False)  # noqa: FBT003  # accepted; HTTP/1.1 is what is spoken
    headers = _headers(http.inner("headers"))
    http.close()
    users = _users(top.inner("basic_auth_users"))
    top.take("tls_server_config", lambda _: None, None)
    top.close()
    if problems:
        raise ConfigError(problems)
    return WebConfig(tls, headers, users)


def _tls(fields: Fields, folder: Path) -> Tls | None:
    def file(value: object) -> str:
        found = folder / text(value)
        if not found.is_file():
            raise ValueError(f"{shown(str(found))} is no file")
        return str(found)

    nothing: str | None = None
    no_suites: tuple[str, ...] = ()
    tls = Tls(
        cert_file=fields.take("cert_file", file, ""),
        key_file=fields.take("key_file", file, ""),
        client_auth_type=fields.take("client_auth_type", choice("", *CLIENT_AUTH), "") or "NoClientCert",
        client_ca_file=fields.take("client_ca_file", file, nothing),
        min_version=fields.take("min_version", choice(*VERSIONS), "TLS12"),
        max_version=fields.take("max_version", choice(*VERSIONS), "TLS13"),
        cipher_suites=fields.take("cipher_suites", texts, no_suites),
    )
    fields.take("prefer_server_cipher_suites", _boolean, True)  # noqa: FBT003  # OpenSSL's own default
    fields.close()
    for name in ("cert_file", "key_file"):
        if name not in fields:
            fields.report(name, "is missing: TLS needs cert_file and key_file")
    if "Verify" in tls.client_auth_type and tls.client_ca_file is None:
        fields.report("client_ca_file", f"is missing: {tls.client_auth_type} needs it")
    if tls.client_auth_type in {"RequestClientCert", "RequireAnyClientCert"}:
        fields.report(
            "client_auth_type", f"{tls.client_auth_type} accepts unverified certificates: use one that verifies"
        )
    return tls


def _headers(fields: Fields) -> dict[str, str]:
    found = {name: fields.take(name, text, "") for name in HEADERS}
    fields.close()
    return {name: value for name, value in found.items() if value}


def _users(fields: Fields) -> dict[str, bytes]:
    found = {name: fields.take(name, _hash, b"") for name in fields.names()}
    fields.close()
    return found


def _hash(value: object) -> bytes:
    word = text(value)
    if not word.startswith(("$2a$", "$2b$", "$2y$")) or len(word) != 60:  # noqa: PLR2004  # bcrypt's length
        raise ValueError("is no bcrypt hash: make one with htpasswd -nBC 10 NAME")
    return word.encode()


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is neither true nor false")  # noqa: TRY004
    return value
