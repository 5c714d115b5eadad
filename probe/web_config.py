"""The ``--web.config.file`` of the exporter toolkit: TLS, client certificates, basic auth, headers."""

import re
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
SUITES: Final = {
    f"TLS_ECDHE_{key}_WITH_{cipher}": f"ECDHE-{key}-{called}"
    for key in ("ECDSA", "RSA")
    for cipher, called in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305", "CHACHA20-POLY1305"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
    )
}
"""The cipher suites of TLS 1.2, by the toolkit's names and by OpenSSL's; those of TLS 1.3 cannot be chosen."""
HEADERS: Final = (
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
)
"""The headers that may be set, as in the toolkit."""


_BCRYPT: Final = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}", re.ASCII)


class Tls(msgspec.Struct, frozen=True):
    """The certificate shown, and what is asked of clients; cipher suites by OpenSSL's names."""

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
            raise ValueError(f"{found} is no file")
        return str(found)

    nothing: str | None = None
    no_suites: tuple[str, ...] = ()
    tls = Tls(
        cert_file=fields.take("cert_file", file, ""),
        key_file=fields.take("key_file", file, ""),
        client_auth_type=fields.take("client_auth_type", _client_auth, "NoClientCert"),
        client_ca_file=fields.take("client_ca_file", file, nothing),
        min_version=fields.take("min_version", choice(*VERSIONS), "TLS12"),
        max_version=fields.take("max_version", choice(*VERSIONS), "TLS13"),
        cipher_suites=fields.take("cipher_suites", _suites, no_suites),
    )
    fields.take("prefer_server_cipher_suites", _boolean, True)  # noqa: FBT003  # OpenSSL's own default
    fields.close()
    if not fields.names():  # empty is no TLS, as in the toolkit
        return None
    for name in ("cert_file", "key_file"):
        if name not in fields:
            fields.report(name, "is missing: TLS needs cert_file and key_file")
    if VERSIONS[tls.min_version] > VERSIONS[tls.max_version]:
        fields.report("min_version", f"{tls.min_version} is above max_version {tls.max_version}")
    if "Verify" in tls.client_auth_type and tls.client_ca_file is None:
        fields.report("client_ca_file", f"is missing: {tls.client_auth_type} needs it")
    if tls.client_auth_type in {"RequestClientCert", "RequireAnyClientCert"}:
        fields.report(
            "client_auth_type", f"{tls.client_auth_type} accepts unverified certificates: use one that verifies"
        )
    return tls


def _headers(fields: Fields) -> dict[str, str]:
    found = {name: fields.take(name, _header, "") for name in HEADERS}
    fields.close()
    return {name: value for name, value in found.items() if value}


def _users(fields: Fields) -> dict[str, bytes]:
    found = {name: fields.take(name, _hash, b"") for name in fields.names()}
    fields.close()
    return found


def _header(value: object) -> str:
    header = text(value)
    if not header.isprintable():
        raise ValueError(f"{shown(header)} has characters that no header may have")
    return header


def _client_auth(value: object) -> str:
    return choice(*CLIENT_AUTH)(value or CLIENT_AUTH[0])


def _hash(value: object) -> bytes:
    word = text(value)
    if not _BCRYPT.fullmatch(word):
        raise ValueError("is no bcrypt hash: make one with htpasswd -nBC 10 NAME")
    return word.encode()


def _suites(value: object) -> tuple[str, ...]:
    names = texts(value)
    for name in names:
        choice(*SUITES)(name)
    return tuple(SUITES[name] for name in names)


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is neither true nor false")  # noqa: TRY004
    return value
