"""``tribes-probe forget``."""

import http.client
import ssl
from base64 import b64encode
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from probe.cli.output import json_line
from probe.config import probe_url
from probe.fields import host_port
from probe.sensors.site import LONGEST_PASSWORD

PATIENCE: Final = 10.0
"""seconds."""
LONGEST_ANSWER: Final = 2_000
"""bytes of the answer that are shown."""
_FILE: Final = click.Path(path_type=Path)


@click.command("forget")
@click.argument("member", metavar="MEMBER")
@click.option("--group", metavar="NAME", help="In this group. [default: the only one that knows the member]")
@click.option(
    "--url", default="http://127.0.0.1:10564", show_default=True, metavar="URL", help="The running probe."
)
@click.option("--user", metavar="NAME", help="For basic auth.")
@click.option("--password-file", type=_FILE, metavar="FILE", help="For basic auth: its first line.")
@click.option("--ca-file", type=_FILE, metavar="FILE", help="Who signed the probe's certificate.")
@click.option("--cert-file", type=_FILE, metavar="FILE", help="The certificate that the probe is shown.")
@click.option("--key-file", type=_FILE, metavar="FILE", help="Its key.")
def command(member: str, group: str | None, url: str, **files: Any) -> None:
    """Have a running probe miss MEMBER no more: one that it learned, or that is gone and still shown.

    A member that is still up is expected again once it has been up for another learn_after. Who is expected by
    the settings is taken out there.

    \b
    tribes-probe forget 10.0.0.3:4000
    tribes-probe forget --group shop --url https://10.0.0.2:10564 --ca-file ca.pem 10.0.0.3:4000
    tribes-probe forget --user ada --password-file password 10.0.0.3:4000
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    try:
        member, url = host_port(member), probe_url(url)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    body = json_line({"member": member, **({"group": group} if group is not None else {})})
    headers = {"Content-Type": "application/json", **_auth(files["user"], files["password_file"])}
    status, answer = _post(url, body, headers, files)
    if status != HTTPStatus.OK:
        if status == HTTPStatus.UNAUTHORIZED:
            answer = "it asks for another name and password: see --user"
        raise click.ClickException(f"{url}: {answer or f'HTTP {status}'}")
    click.echo(answer)


def _auth(user: str | None, password_file: Path | None) -> dict[str, str]:
    """Return the header that says who asks."""
    if (user is None) is not (password_file is None):
        raise click.UsageError("--user and --password-file belong together.")
    if user is None or password_file is None:
        return {}
    try:
        with password_file.open(encoding="utf-8") as file:
            password = file.read(LONGEST_PASSWORD).rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise click.ClickException(f"the password cannot be read: {error}") from error
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def _post(url: str, body: str, headers: dict[str, str], files: dict[str, Any]) -> tuple[int, str]:
    """Ask once, without a proxy and following nothing: the password is for this probe only."""
    connection = _connect(url, files)
    try:
        connection.request("POST", "/api/v1/forget", body.encode(), headers)
        answer = connection.getresponse()
        text = answer.read(LONGEST_ANSWER).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise click.ClickException(f"{url}: cannot be asked: {why}") from error
    finally:
        connection.close()
    return answer.status, "".join(char if char.isprintable() else " " for char in text).strip()


def _connect(url: str, files: dict[str, Any]) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        if given := [name for name in ("ca_file", "cert_file", "key_file") if files[name] is not None]:
            raise click.UsageError(f"--{given[0].replace('_', '-')} is given, but {url} is not https.")
        return http.client.HTTPConnection(host, parts.port, timeout=PATIENCE)
    try:
        context = ssl.create_default_context(cafile=files["ca_file"])
        if files["cert_file"] is not None:
            context.load_cert_chain(files["cert_file"], files["key_file"], password="")
    except (OSError, ValueError) as error:
        raise click.ClickException(f"TLS cannot be set up: {error}") from error
    return http.client.HTTPSConnection(host, parts.port, timeout=PATIENCE, context=context)
