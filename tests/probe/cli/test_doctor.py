"""``doctor``: its output as lines and as JSON, its exit status, what it refuses."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.command import invoke, refused

from probe.cli import doctor
from probe.doctor.finding import Finding, Status
from probe.doctor.walk import Note, Order

FINE = Finding("route", "shop", "the route", Status.OK, "by eth0", "", "")
CALM = Finding("jvm", "shop", "the flag", Status.OK, "no flag", "not needed", "")
BAD = Finding("host name", "shop", "its name", Status.ERROR, "127.0.1.1", "nobody adds it", "write the address")
DARK = Finding("firewall", "", "nft", Status.UNKNOWN, "only root", "this step says nothing", "be root")


@pytest.fixture(name="orders")
def _orders(monkeypatch: pytest.MonkeyPatch, findings: list[Finding]) -> list[Order]:
    """Let the walk find something without walking; return what was ordered."""
    orders: list[Order] = []

    async def walk(order: Order, note: Note) -> AsyncIterator[Finding]:
        orders.append(order)
        note("listening for 6 s")
        for finding in findings:
            yield finding

    monkeypatch.setattr(doctor, "walk", walk)
    return orders


@pytest.mark.parametrize("findings", [[BAD, FINE, CALM, DARK]])
def test_lines(orders: list[Order]) -> None:
    """What is well takes a line, what is not says what was looked at, what it means and what to do."""
    result = invoke("doctor", "--peer", "10.0.0.2", "--listen", "2s")
    assert result.exit_code == 1
    assert result.stderr == "tribes-probe: listening for 6 s\n"
    assert result.stdout == (
        "error    host name: 127.0.1.1\n"
        "         looked at: its name\n"
        "         means: nobody adds it\n"
        "         do: write the address\n"
        "ok       route: by eth0\n"
        "ok       jvm: no flag; not needed\n"
        "unknown  firewall: only root\n"
        "         looked at: nft\n"
        "         means: this step says nothing\n"
        "         do: be root\n"
        "4 findings: 2 ok, 0 warning, 1 error, 1 unknown\n"
    )
    (order,) = orders
    assert (order.listen, order.self_test) == (2.0, None)
    assert [peer.url for peer in order.peers] == ["http://10.0.0.2:10564"]


@pytest.mark.parametrize("findings", [[FINE, DARK]])
@pytest.mark.usefixtures("orders")
def test_no_error_is_exit_status_0() -> None:
    """Warnings and unknowns do not fail."""
    assert invoke("doctor").exit_code == 0


@pytest.mark.parametrize("findings", [[BAD, FINE]])
@pytest.mark.usefixtures("orders")
def test_json() -> None:
    """One object with every finding whole."""
    result = invoke("doctor", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert report["counts"] == {"ok": 1, "warning": 0, "error": 1, "unknown": 0}
    assert report["groups"] == ["228.0.0.4:45564"]
    assert report["findings"][0] == {
        "step": "host name",
        "group": "shop",
        "looked_at": "its name",
        "status": "error",
        "found": "127.0.1.1",
        "means": "nobody adds it",
        "remedy": "write the address",
    }


@pytest.mark.parametrize("findings", [[FINE]])
def test_several_groups(orders: list[Order], tmp_path: Path) -> None:
    """With more than one group each line says whose it is; peers of the settings are asked, too."""
    path = tmp_path / "p.yml"
    path.write_text(
        "groups: [{name: shop, address: 239.1.1.1}, {address: 239.1.1.2}]\npeers: [{url: 'http://10.0.0.3:1'}]\n"
    )
    result = invoke("doctor", "--config.file", path, "--peer", "http://10.0.0.3:1", "--self-test")
    assert result.stdout.startswith("ok       route of shop: by eth0\n")
    assert [peer.url for peer in orders[0].peers] == ["http://10.0.0.3:1"]
    assert (orders[0].hosts, orders[0].self_test) == (("10.0.0.3",), 10565)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--self-test",), "--self-test needs the other host as --peer"),
        (("--self-test", "--peer", "b", "--self-test-port", "45564"), "nothing is ever sent there"),
        (("--peer", "a b"), "is no address of a probe"),
        (("--listen", "0s"), "--listen"),
        (("--config.file", "/nowhere.yml"), "cannot be read"),
        (("--server-xml", "/nowhere.xml"), "cannot be read"),
    ],
)
@pytest.mark.parametrize("findings", [[FINE]])
def test_wrong_usage(orders: list[Order], arguments: tuple[str, ...], words: str) -> None:
    """Exit status 2 and one line; nothing was looked at."""
    assert words in refused("doctor", *arguments)
    assert orders == []
