"""The web configuration in the exporter toolkit's format: what is taken, and one file for every mistake."""

import ssl
from pathlib import Path

import bcrypt
import pytest

from probe.fields import ConfigError
from probe.web_config import CLIENT_AUTH, HEADERS, SUITES, Tls, WebConfig, load_web_config

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
TLS = "tls_server_config:\n  cert_file: web.crt\n  key_file: web.key\n"


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    for name in ("web.crt", "web.key", "ca.crt"):
        (tmp_path / name).touch()
    return tmp_path / "web.yml"


def said(file: Path, text: str) -> list[str]:
    """Return the mistakes in a file of this text, with its folder called DIR."""
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_web_config(file)
    return [problem.replace(str(file.parent), "DIR") for problem in refused.value.problems]


@pytest.mark.parametrize(
    "text", ["", "{}", "basic_auth_users:", "http_server_config: {headers: {}}", "tls_server_config:"]
)
def test_nothing_asked_is_nothing_done(file: Path, text: str) -> None:
    """An empty file means no TLS and nobody is asked for a password."""
    file.write_text(text)
    assert load_web_config(file) == WebConfig()


def test_everything_the_toolkit_knows_is_taken(file: Path) -> None:
    """A full file in the toolkit's words arrives; files are those beside it."""
    file.write_text(
        f"""
tls_server_config:
  cert_file: web.crt
  key_file: {file.parent}/web.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  min_version: TLS12
  max_version: TLS12
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]
  prefer_server_cipher_suites: true
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: deny
basic_auth_users:
  prometheus: {HASH}
  "": {HASH}
"""
    )
    config = load_web_config(file)
    assert config.tls == Tls(
        cert_file=str(file.parent / "web.crt"),
        key_file=str(file.parent / "web.key"),
        client_auth_type="RequireAndVerifyClientCert",
        client_ca_file=str(file.parent / "ca.crt"),
        min_version="TLS12",
        max_version="TLS12",
        cipher_suites=("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    )
    assert config.headers == {"Strict-Transport-Security": "max-age=31536000", "X-Frame-Options": "deny"}
    assert config.basic_auth_users == {"prometheus": HASH.encode(), "": HASH.encode()}


def test_a_certificate_alone_is_enough(file: Path) -> None:
    """Two files make TLS, from 1.2 on, and no client has to show a certificate."""
    file.write_text(TLS)
    tls = load_web_config(file).tls
    assert tls is not None
    assert (tls.client_auth_type, tls.min_version, tls.max_version) == ("NoClientCert", "TLS12", "TLS13")


def test_suites_are_openssls_own() -> None:
    """Every cipher suite that may be named is one that OpenSSL takes, under the name it is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for called in SUITES.values():
        context.set_ciphers(called)
        assert called in {each["name"] for each in context.get_ciphers()}


UNVERIFIED = "accepts unverified certificates: use one that verifies"
NO_HEADER = "\"'deny\\r\\nX: y'\" has characters that no header may have"
MISTAKES = [
    ("tls_config: {}", 'DIR/web.yml: tls_config: unknown setting: did you mean "tls_server_config"?'),
    ("[]", 'DIR/web.yml: "[]" is no mapping: write key: value lines'),
    ("tls_server_config: yes", 'DIR/web.yml: tls_server_config: "True" is no mapping: write key: value lines'),
    (
        "tls_server_config: {cert_file: web.crt}",
        "DIR/web.yml: tls_server_config.key_file: is missing: TLS needs cert_file and key_file",
    ),
    (
        "tls_server_config: {key_file: web.key}",
        "DIR/web.yml: tls_server_config.cert_file: is missing: TLS needs cert_file and key_file",
    ),
    (
        "tls_server_config: {cert_file: gone.crt, key_file: web.key}",
        "DIR/web.yml: tls_server_config.cert_file: DIR/gone.crt is no file",
    ),
    (
        TLS + "  client_auth_type: Maybe",
        'DIR/web.yml: tls_server_config.client_auth_type: "Maybe" is none of ' + ", ".join(CLIENT_AUTH),
    ),
    (
        TLS + "  client_auth_type: RequireAndVerifyClientCert",
        "DIR/web.yml: tls_server_config.client_ca_file: is missing: RequireAndVerifyClientCert needs it",
    ),
    (
        TLS + "  client_auth_type: RequireAnyClientCert",
        f"DIR/web.yml: tls_server_config.client_auth_type: RequireAnyClientCert {UNVERIFIED}",
    ),
    (
        TLS + "  min_version: TLS10",
        'DIR/web.yml: tls_server_config.min_version: "TLS10" is none of TLS12, TLS13',
    ),
    (
        TLS + "  min_version: TLS13\n  max_version: TLS12",
        "DIR/web.yml: tls_server_config.min_version: TLS13 is above max_version TLS12",
    ),
    (
        TLS + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]",
        'DIR/web.yml: tls_server_config.cipher_suites: "TLS_RSA_WITH_RC4_128_SHA" is none of '
        + ", ".join(SUITES),
    ),
    (
        TLS + "  prefer_server_cipher_suites: 1",
        'DIR/web.yml: tls_server_config.prefer_server_cipher_suites: "1" is neither true nor false',
    ),
    (
        "http_server_config: {headers: {Server: x}}",
        "DIR/web.yml: http_server_config.headers.Server: unknown setting: known are " + ", ".join(HEADERS),
    ),
    ("http_server_config: {http2: 2}", 'DIR/web.yml: http_server_config.http2: "2" is neither true nor false'),
    (
        'http_server_config: {headers: {X-Frame-Options: "deny\\r\\nX: y"}}',
        f"DIR/web.yml: http_server_config.headers.X-Frame-Options: {NO_HEADER}",
    ),
    (
        "basic_auth_users: {prometheus: secret}",
        "DIR/web.yml: basic_auth_users.prometheus: is no bcrypt hash: make one with htpasswd -nBC 10 NAME",
    ),
    (
        f"basic_auth_users: {{prometheus: {HASH[:-1]}}}",
        "DIR/web.yml: basic_auth_users.prometheus: is no bcrypt hash: make one with htpasswd -nBC 10 NAME",
    ),
    (
        f"basic_auth_users: {{prometheus: {HASH[:-1]}é}}",
        "DIR/web.yml: basic_auth_users.prometheus: is no bcrypt hash: make one with htpasswd -nBC 10 NAME",
    ),
    (
        "basic_auth_users: [prometheus]",
        "DIR/web.yml: basic_auth_users: \"['prometheus']\" is no mapping: write key: value lines",
    ),
]


@pytest.mark.parametrize(("text", "line"), MISTAKES, ids=[text[:50] for text, _ in MISTAKES])
def test_a_mistake_earns_one_line(file: Path, text: str, line: str) -> None:
    """Each mistake is told once, with its file, its place and what to do."""
    assert said(file, text) == [line]


def test_a_password_is_never_repeated(file: Path) -> None:
    """What stands where a hash should be may be a password: no message shows it."""
    assert "secret" not in "".join(said(file, "basic_auth_users: {prometheus: secret}"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is told as such."""
    with pytest.raises(ConfigError) as refused:
        load_web_config(tmp_path / "web.yml")
    assert refused.value.problems == (f"{tmp_path}/web.yml: cannot be read: No such file or directory",)
