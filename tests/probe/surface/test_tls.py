"""TLS and client certificates, with certificates of openssl's and a real client."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.authority import Authority, Pair
from support.curl import curl
from support.view import view

from probe.model.views import ProbeView
from probe.surface.web import ListenError, Web
from probe.web_config import WebConfig, load_web_config


class Source:
    """Something to show."""

    async def view(self) -> ProbeView:
        """Return the view."""
        return view()

    def not_ready(self) -> str | None:
        """Be ready."""
        return None

    async def reload(self) -> str | None:
        """Find nothing wrong."""
        return None

    def forget(self, member: str, group: str | None = None) -> str:
        """Forget nobody."""
        raise NotImplementedError


@pytest.fixture(name="ca")
def _ca(tmp_path: Path) -> Authority:
    """Give an authority."""
    return Authority(tmp_path, "authority")


@pytest.fixture(name="configured")
def _configured(tmp_path: Path) -> Callable[..., WebConfig]:
    """Give what writes a web config file and loads it."""

    def write(pair: Pair, **settings: str) -> WebConfig:
        path = tmp_path / "web.yml"
        lines = {"cert_file": pair.cert, "key_file": pair.key, **settings}
        path.write_text("tls_server_config:\n" + "".join(f"  {key}: {value}\n" for key, value in lines.items()))
        return load_web_config(path)

    return write


async def test_pages_are_served_over_tls_and_not_without(
    ca: Authority, configured: Callable[..., WebConfig]
) -> None:
    """The client checks the certificate; plain HTTP gets no page."""
    web = Web(Source(), config=configured(ca.issue("server")))
    await web.listen(("127.0.0.1:0",))
    url = web.addresses[0]
    assert url.startswith("https://127.0.0.1:")
    assert (await curl(url, "--cacert", ca.pair.cert)).status == 200
    assert "SSL certificate problem" in (await curl(url)).error
    assert (await curl(url.replace("https", "http"))).status != 200
    await web.close()


@pytest.mark.parametrize(
    ("settings", "version", "served"),
    [
        ({}, "--tls-max 1.2", True),
        ({}, "--tlsv1.3", True),
        ({}, "--tls-max 1.1", False),
        ({"min_version": "TLS13"}, "--tls-max 1.2", False),
        ({"max_version": "TLS12"}, "--tlsv1.3", False),
        ({"max_version": "TLS12"}, "--tlsv1.2", True),
    ],
)
async def test_versions(
    ca: Authority, configured: Callable[..., WebConfig], settings: dict[str, str], version: str, *, served: bool
) -> None:
    """At least 1.2, and what the file says."""
    web = Web(Source(), config=configured(ca.issue("server"), **settings))
    await web.listen(("127.0.0.1:0",))
    reply = await curl(web.addresses[0], "--cacert", ca.pair.cert, *version.split())
    await web.close()
    assert (reply.status == 200) is served


async def test_client_certificates(ca: Authority, configured: Callable[..., WebConfig], tmp_path: Path) -> None:
    """Required: one of ours, nothing else. If given: one of ours, or none."""
    other = Authority(tmp_path, "stranger")
    clients = {
        "ours": ca.issue("client"),
        "another authority's": other.issue("impostor"),
    }
    server = ca.issue("server")
    expected = {
        "NoClientCert": {"ours", "another authority's", "none"},
        "VerifyClientCertIfGiven": {"ours", "none"},
        "RequireAndVerifyClientCert": {"ours"},
    }
    for kind, welcome in expected.items():
        config = configured(server, client_auth_type=kind, client_ca_file=ca.pair.cert)
        web = Web(Source(), config=config)
        await web.listen(("127.0.0.1:0",))
        for who in ("ours", "another authority's", "none"):
            options = ["--cert", clients[who].cert, "--key", clients[who].key] if who in clients else []
            reply = await curl(web.addresses[0], "--cacert", ca.pair.cert, *options)
            assert (reply.status == 200) is (who in welcome), (kind, who, reply.error)
        await web.close()


async def test_a_renewed_certificate_is_shown_after_a_reload(
    ca: Authority, configured: Callable[..., WebConfig], tmp_path: Path
) -> None:
    """The same files with new contents, as a renewal leaves them; the port stays open."""
    pair = ca.issue("server")
    config = configured(pair)
    web = Web(Source(), config=config)
    await web.listen(("127.0.0.1:0",))
    url = web.addresses[0]
    renewed = Authority(tmp_path, "next")
    fresh = renewed.issue("fresh")
    for new, old in zip(fresh, pair, strict=True):
        shutil.move(new, old)
    assert (await curl(url, "--cacert", ca.pair.cert)).status == 200
    await web.adopt(config)
    assert web.addresses == [url]
    assert (await curl(url, "--cacert", renewed.pair.cert)).status == 200
    assert (await curl(url, "--cacert", ca.pair.cert)).status == 0
    await web.close()


async def test_an_authority_that_was_replaced_is_trusted_no_more(
    ca: Authority, configured: Callable[..., WebConfig], tmp_path: Path
) -> None:
    """After a reload with another client_ca_file, the old one's clients are strangers."""
    other = Authority(tmp_path, "next")
    server, old, new = ca.issue("server"), ca.issue("old"), other.issue("new")
    require = {"client_auth_type": "RequireAndVerifyClientCert"}
    web = Web(Source(), config=configured(server, **require, client_ca_file=ca.pair.cert))
    await web.listen(("127.0.0.1:0",))
    served = []
    for authority in (ca, other):
        await web.adopt(configured(server, **require, client_ca_file=authority.pair.cert))
        for client in (old, new):
            reply = await curl(
                web.addresses[0], "--cacert", ca.pair.cert, "--cert", client.cert, "--key", client.key
            )
            served.append(reply.status)
    await web.close()
    assert served == [200, 0, 0, 200]


async def test_a_reload_with_bad_files_changes_nothing(
    ca: Authority, configured: Callable[..., WebConfig]
) -> None:
    """A key that does not belong to the certificate is told; the old certificate is still shown."""
    good, other = ca.issue("server"), ca.issue("other")
    web = Web(Source(), config=configured(good))
    await web.listen(("127.0.0.1:0",))
    with pytest.raises(ListenError, match=r"TLS cannot be set up with .*server.pem: .*key values mismatch"):
        await web.adopt(configured(Pair(good.cert, other.key)))
    assert (await curl(web.addresses[0], "--cacert", ca.pair.cert)).status == 200
    await web.close()


async def test_tls_begins_and_ends_with_a_reload(ca: Authority, configured: Callable[..., WebConfig]) -> None:
    """On the same port."""
    web = Web(Source())
    await web.listen(("127.0.0.1:0",))
    plain = web.addresses[0]
    assert (await curl(plain)).status == 200
    await web.adopt(configured(ca.issue("server")))
    assert web.addresses == [plain.replace("http", "https")]
    assert (await curl(web.addresses[0], "--cacert", ca.pair.cert)).status == 200
    await web.adopt(WebConfig())
    assert (await curl(plain)).status == 200
    await web.close()


def test_a_locked_key_is_an_error_and_no_question(
    ca: Authority, configured: Callable[..., WebConfig], tmp_path: Path
) -> None:
    """A daemon has no terminal to ask for a password on."""
    pair, locked = ca.issue("server"), tmp_path / "locked.key"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", pair.key, "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ListenError, match="TLS cannot be set up with"):
        Web(Source(), config=configured(Pair(pair.cert, str(locked))))
