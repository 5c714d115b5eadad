"""Interfaces that come, change and go."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable

import pytest
from support.netns import Host, Lab

from probe.sensors.interfaces import Interface, Interfaces, list_interfaces

Interfaces_ = tuple[Interface, ...]


def interface(*addresses: str, name: str = "eth0") -> Interface:
    """Make one that is up, with addresses."""
    return Interface(
        2,
        name,
        up=True,
        running=True,
        multicast=True,
        loopback=False,
        addresses=tuple(map(ipaddress.ip_interface, addresses)),
    )


@pytest.mark.parametrize(
    ("entry", "answers"),
    [("eth0", True), ("10.0.0.1", True), ("fd77::1", True), ("eth", False), ("10.0.0.2", False), ("", False)],
)
def test_a_setting_means_an_interface_by_name_or_address(entry: str, *, answers: bool) -> None:
    """Either is how a Tomcat's bind and an operator say it."""
    assert interface("10.0.0.1/24", "fd77::1/64").answers_to(entry) is answers


def test_networks_and_addresses_of_an_interface() -> None:
    """Link-local networks need their interface to be named, so they are not offered; the first address is."""
    one = interface("10.0.0.1/24", "10.1.0.1/16", "fe80::1/64", "fd77::1/64")
    assert [str(network) for network in one.networks()] == ["10.0.0.0/24", "10.1.0.0/16", "fd77::/64"]
    assert str(one.address(4)) == "10.0.0.1/24"
    assert str(one.address(6)) == "fe80::1/64"
    assert interface().address(4) is None


def test_this_host_has_a_loopback() -> None:
    """The kernel's answer at once, without a watch."""
    [lo] = [one for one in list_interfaces() if one.name == "lo"]
    assert (lo.loopback, lo.up, lo.life) == (True, True, 0)
    assert lo.answers_to("127.0.0.1")


class Watch:
    """What a watch told, until something is true of it."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[Interfaces_] = asyncio.Queue()
        self.interfaces = Interfaces(self.told.put_nowait)

    async def until(self, wanted: Callable[[dict[str, Interface]], bool]) -> dict[str, Interface]:
        """Wait for a list of which something is true; return it by name."""
        async with asyncio.timeout(5):
            while True:
                now = {one.name: one for one in await self.told.get()}
                if wanted(now):
                    return now


@pytest.fixture(name="lab")
async def _lab() -> AsyncIterator[tuple[Lab, Host, Watch]]:
    """Give a host of one segment, and a watch on its interfaces."""
    with Lab(1) as lab, lab.hosts[0].inside():
        watch = Watch()
        task = asyncio.create_task(watch.interfaces.watch())
        yield lab, lab.hosts[0], watch
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.netns
async def test_the_state_at_the_start_and_every_change_is_told(lab: tuple[Lab, Host, Watch]) -> None:
    """Down and up, an address that goes and comes, a cable out and in: each is told, and nothing twice."""
    segment, host, watch = lab
    start = await watch.until(lambda now: "eth0" in now and now["eth0"].running)
    eth0 = start["eth0"]
    assert (eth0.up, eth0.multicast, eth0.loopback) == (True, True, False)
    assert str(eth0.address(4)) == "10.77.0.11/24"
    host.ip("link set eth0 down")
    assert (await watch.until(lambda now: not now["eth0"].up))["eth0"].identity == eth0.identity
    host.ip("link set eth0 up")
    await watch.until(lambda now: now["eth0"].up)
    host.ip("address del 10.77.0.11/24 dev eth0")
    await watch.until(lambda now: now["eth0"].address(4) is None)
    host.ip("address add 10.77.0.99/24 dev eth0")
    await watch.until(lambda now: str(now["eth0"].address(4)) == "10.77.0.99/24")
    segment.cut(host)
    cut = await watch.until(lambda now: not now["eth0"].running)
    assert cut["eth0"].up
    segment.mend(host)
    await watch.until(lambda now: now["eth0"].running)


@pytest.mark.netns
async def test_an_interface_made_again_with_its_index_is_another_one(lab: tuple[Lab, Host, Watch]) -> None:
    """The kernel's memberships went with the first, though name and index are the same."""
    _, host, watch = lab
    await watch.until(lambda now: "eth0" in now)
    host.ip("link add again index 50 type bridge")
    first = await watch.until(lambda now: "again" in now)
    host.ip("link delete again")
    host.ip("link add again index 50 type bridge")
    second = await watch.until(lambda now: "again" in now and now["again"].life > 0)
    assert first["again"].index == second["again"].index == 50
    assert first["again"].identity != second["again"].identity


@pytest.mark.netns
async def test_a_burst_of_changes_ends_in_the_truth(lab: tuple[Lab, Host, Watch]) -> None:
    """Notices may be lost when the netlink socket overflows; what is told at last is what is there."""
    _, host, watch = lab
    commands = [f"link add d{n} type bridge" for n in range(30)]
    commands += [f"link delete d{n}" for n in range(29)]
    host.run("ip", "-batch", "-", input="\n".join(commands))
    now = await watch.until(lambda now: "d29" in now and len(now) == 3)
    assert set(now) == {"lo", "eth0", "d29"}
