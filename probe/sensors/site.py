"""One address that is read over HTTP: within a time and a size, followed nowhere, and believed nothing."""

import asyncio
import base64
import os
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import hdrs

from probe.config import BasicAuth, PeerTls
from probe.fields import ConfigError, shown
from probe.sensors.names import Names

PATIENCE: Final = 2.0
"""seconds for one answer, from name look-up to the last byte."""
LONGEST_PASSWORD: Final = 1024

Hints = Mapping[int, str]
"""What an HTTP status means here, behind "HTTP 401"."""


class UnusableError(Exception):
    """An answer cannot be used; one line."""


class Site:
    """An address, how it is trusted and who asks; ``place`` begins the lines of mistakes.

    ``largest`` bounds the answer, in bytes. Raises ``ConfigError`` when its files cannot be used.
    """

    def __init__(self, url: str, place: str, tls: PeerTls, auth: BasicAuth | None, largest: int) -> None:
        self.url = url
        self.tls = trust(tls, place) if url.startswith("https:") else True
        self._largest = largest
        self._headers = credentials(auth, place)

    async def read(self, session: aiohttp.ClientSession, path: str, hints: Hints) -> bytearray:
        """Return what it answers to a path; raises ``UnusableError`` with what went wrong."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._fetch(session, path, hints)
        except TimeoutError:
            raise UnusableError(f"no answer within {PATIENCE:g} s") from None
        except UnusableError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it makes the client raise is its own trouble
            raise UnusableError(_reason(error)) from None

    async def _fetch(self, session: aiohttp.ClientSession, path: str, hints: Hints) -> bytearray:
        async with session.get(
            self.url + path, ssl=self.tls, headers=self._headers, allow_redirects=False
        ) as response:
            if response.status != HTTPStatus.OK:
                hint = f"it answers HTTP {response.status} to {response.url.path}"
                raise UnusableError(hints.get(response.status, hint))
            if hdrs.CONTENT_ENCODING in response.headers:
                raise UnusableError("its answer is packed, which was not asked for")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > self._largest:
                    raise UnusableError(f"its answer is larger than {self._largest // 2**20} MiB")
            return body


def open_session() -> aiohttp.ClientSession:
    """Return what sites are read with: no cookies, nothing unpacked, names looked up without hanging."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=PATIENCE),
        connector=aiohttp.TCPConnector(limit=0, resolver=Names()),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={hdrs.ACCEPT_ENCODING: "identity"},
        auto_decompress=False,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, OSError):
        return f"cannot be reached: {_system(error)}"
    return f"its answer is no HTTP: {shown(str(error) or type(error).__name__)}"


def _system(error: OSError) -> str:
    known = error.errno is not None and error.errno > 0 and not isinstance(error, ssl.SSLError)
    return os.strerror(error.errno) if known and error.errno is not None else error.strerror or str(error)


def trust(tls: PeerTls, place: str) -> ssl.SSLContext:
    """Return who is trusted and who we are; ``place`` begins the line of a mistake. Raises ``ConfigError``."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")  # else a locked key asks for one
    except (OSError, ValueError) as error:
        raise ConfigError([f"{place}: TLS cannot be set up: {error}"]) from None
    return context


def credentials(auth: BasicAuth | None, place: str) -> dict[str, str]:
    """Return the header that says who asks; ``place`` begins the line of a mistake. Raises ``ConfigError``."""
    if auth is None:
        return {}
    try:
        with Path(auth.password_file).open(encoding="utf-8") as file:
            password = file.read(LONGEST_PASSWORD).rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise ConfigError([f"{place}: the password cannot be read: {error}"]) from None
    pair = f"{auth.username}:{password}".encode()
    return {hdrs.AUTHORIZATION: f"Basic {base64.b64encode(pair).decode()}"}
