"""The daemon as it runs: a process of its own, heartbeats on loopback, a client, signals."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import bcrypt
import pytest
from aiohttp import web
from support.daemon import Daemon, running
from support.jmxproxy import dump
from support.stage import DROP_TIME, FREQUENCY, GROUP, SOON, Stage, free_port

from protocols.heartbeat import Heartbeat, encode


@pytest.fixture(name="stage")
async def _stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a stage; whoever beats there is stopped in the end."""
    stage = Stage(tmp_path)
    async with stage.opened:
        yield stage


async def test_everything_is_told_in_time(stage: Stage) -> None:
    """Joined at the first beat; late, silent and lost each at its own deadline; goodbye at once; and back."""
    async with running(stage.config) as daemon:
        assert (await daemon.get("/-/ready")).status == 503
        one, two, three = await stage.members(3)
        for member in (one, two, three):
            joined = await daemon.says("joined", member=member.name)
            assert joined.said["unique_id"] == member.member.unique_id.hex()
        await daemon.eventually(lambda group: group["verdict"]["state"] == "whole")
        assert (await daemon.get("/-/ready")).status == 200

        await one.crash()
        late = await daemon.says("late", member=one.name)
        assert 3 * FREQUENCY <= late.at - one.last <= 3 * FREQUENCY + SOON
        silent = await daemon.says("silent", member=one.name)
        lost = await daemon.says("lost", member=one.name)
        assert DROP_TIME <= silent.at - one.last <= DROP_TIME + SOON
        assert DROP_TIME <= lost.at - one.last <= DROP_TIME + SOON
        await daemon.says("degraded")
        assert (await daemon.states())[one.name] == "lost"

        two.goodbye()
        left = await daemon.says("left", member=two.name)
        assert left.at - two.last <= SOON

        three.pause()
        await daemon.says("silent", member=three.name)
        await daemon.eventually(lambda group: group["members"][2]["state"] == "mute")
        three.beat()
        await daemon.says("returned", member=three.name)
        up = f'tribes_member_up{{group="one",member="{three.name}"}}'
        assert await daemon.metric(up) == "1.0"
        assert await daemon.metric(up.replace(three.name, one.name)) == "0.0"


async def test_ready_takes_one_drop_time(stage: Stage) -> None:
    """Joined is not enough: a probe that has just begun to listen knows nothing yet."""
    started = time.monotonic()
    async with running(stage.config) as daemon:
        await daemon.says("group-joined")
        while (reply := await daemon.get("/-/ready")).status == 503:
            assert "dropTime of one is 0.6 s" in reply.body
            assert (await daemon.get("/-/healthy")).status == 200
        assert time.monotonic() - started > DROP_TIME
        assert reply.status == 200
        here = "uvloop" if "uvloop" in type(asyncio.get_running_loop()).__module__ else "asyncio"
        assert json.loads((await daemon.get("/api/v1/view")).body)["build"]["loop"].startswith(here)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_is_clean_and_takes_less_than_a_second(stage: Stage, how: signal.Signals) -> None:
    """With members, questions under way, an idle client, one that reads nothing and one in mid-request."""
    async with running(stage.config) as daemon:
        members = await stage.members(3)
        for member in members:  # the first beats may come before the join, and not all of them
            await daemon.says("joined", member=member.name)
        members[0]._receiver.freeze()
        members[0].pause()
        await daemon.says("late", member=members[0].name)
        host, port = daemon.url.removeprefix("http://").split(":")
        clients = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        clients[0][1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        clients[1][1].write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        clients[2][1].write(b"POST /-/reload HTTP/1.1\r\nContent-Length: 10\r\n")
        await clients[0][0].readline()
        status, took = await daemon.end(how)
        assert status == 0
        assert took < 1
        assert daemon.lines[-1].said["event"] == "stopping"
        for _, writer in clients:
            writer.close()


async def _reload(daemon: Daemon, way: str) -> None:
    if way == "POST":
        await daemon.get("/-/reload", "-X", "POST")
    else:
        daemon.process.send_signal(signal.SIGHUP)


SUCCESS = "tribes_probe_config_last_reload_successful"


@pytest.mark.parametrize("way", ["SIGHUP", "POST"])
async def test_a_reload_keeps_members_and_a_bad_file_changes_nothing(stage: Stage, way: str) -> None:
    """Good, bad, unreadable, good again: the log and the metric follow, members are never forgotten."""
    async with running(stage.config) as daemon:
        [member] = await stage.members(1)
        await daemon.says("joined", member=member.name)
        first = (await daemon.group())["members"][0]["first_heartbeat"]

        stage.write(head="forget_after: 7m")
        await _reload(daemon, way)
        await daemon.says("reloaded")
        assert await daemon.metric(SUCCESS) == "1.0"

        mark = len(daemon.lines)
        good = stage.config.read_text()
        stage.config.write_text(good.replace("frequency: 100ms", "frequency: often"))
        await _reload(daemon, way)
        failed = await daemon.says("reload-failed", after=mark)
        assert "the old settings stay in force: " in failed.said["text"]
        assert "groups[0].frequency" in failed.said["text"]
        assert await daemon.metric(SUCCESS) == "0.0"
        if way == "POST":
            reply = await daemon.get("/-/reload", "-X", "POST")
            assert reply.status == 400
            assert "groups[0].frequency" in reply.body

        mark = len(daemon.lines)
        stage.config.unlink()
        await _reload(daemon, way)
        failed = await daemon.says("reload-failed", after=mark)
        assert "cannot be read: No such file or directory" in failed.said["text"]

        mark = len(daemon.lines)
        stage.config.write_text(good)
        await _reload(daemon, way)
        await daemon.says("reloaded", after=mark)
        assert await daemon.metric(SUCCESS) == "1.0"
        group = await daemon.group()
        assert group["frequency_seconds"] == FREQUENCY
        assert [one["first_heartbeat"] for one in group["members"]] == pytest.approx([first], abs=0.01)
        assert [line.said["event"] for line in daemon.lines].count("joined") == 1


async def test_a_group_that_moves_is_followed_and_groups_come_and_go(stage: Stage) -> None:
    """Another port: heard there, not on the old one; a second group begins and ends; the members known stay."""
    other = free_port(socket.SOCK_DGRAM)
    second = f"  - {{name: two, address: 239.255.73.2, port: {other}, interfaces: [lo], expected: 3}}"
    async with running(stage.config) as daemon:
        [here] = await stage.members(1)
        await daemon.says("joined", member=here.name)

        stage.write(port=other, more=second)
        assert (await daemon.get("/-/reload", "-X", "POST")).status == 200
        [there] = await stage.members(1, other)
        await daemon.says("joined", member=there.name)
        await daemon.says("silent", member=here.name)
        assert set(await daemon.states()) == {here.name, there.name}
        assert (await daemon.group())["port"] == other
        assert (await daemon.group(1))["group"] == "two"
        assert await daemon.metric('tribes_cluster_members_expected{group="two"}') == "3.0"

        mark = len(daemon.lines)
        stage.write()
        assert (await daemon.get("/-/reload", "-X", "POST")).status == 200
        await daemon.says("returned", after=mark, member=here.name)
        await daemon.says("silent", after=mark, member=there.name)
        assert 'group="two"' not in (await daemon.get("/metrics")).body


async def test_a_group_that_cannot_be_opened_leaves_all_as_it_was(stage: Stage) -> None:
    """Somebody else has the port for himself: the reload fails, the old port is still heard."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as greedy:
        greedy.bind((GROUP, 0))
        async with running(stage.config) as daemon:
            [member] = await stage.members(1)
            await daemon.says("joined", member=member.name)
            stage.write(port=greedy.getsockname()[1], more="log: {level: error}")
            reply = await daemon.get("/-/reload", "-X", "POST")
            assert reply.status == 400
            assert "Address already in use" in reply.body
            heard = (await daemon.group())["members"][0]["heartbeats"]
            await daemon.eventually(lambda group: group["members"][0]["heartbeats"] > heard + 10)
            assert (await daemon.states())[member.name] == "alive"


async def test_peers_come_and_go_by_a_reload(stage: Stage, tmp_path: Path) -> None:
    """Two probes read each other and say together what each says alone; a bad peer changes nothing."""
    await stage.members(2)
    other = Stage(tmp_path / "other")
    other.port = stage.port
    other.write()
    async with running(stage.config) as one, running(other.config) as two:
        assert (await one.group())["together"] is None
        stage.write(
            head=f"role: local\npeers: [{{name: two, url: '{two.url}'}}, {{name: me, url: '{one.url}'}}]"
        )
        assert (await one.get("/-/reload", "-X", "POST")).status == 200
        await one.says("peer-read", peer="two")
        together = (
            await one.eventually(lambda group: len((group["together"] or {"vantages": ()})["vantages"]) == 2)
        )["together"]
        assert together["vantages"] == ["here", "two"]
        assert together["silent"] == {"me": "it is this probe itself"}
        assert await one.metric('tribes_peer_up{group="one",peer="two"}') == "1.0"
        assert await one.metric('tribes_peer_up{group="one",peer="me"}') == "0.0"

        stage.write(head=f"peers: [{{url: '{two.url}', basic_auth: {{username: x, password_file: nowhere}}}}]")
        reply = await one.get("/-/reload", "-X", "POST")
        assert reply.status == 400
        assert "the password cannot be read" in reply.body
        assert json.loads((await one.get("/api/v1/view")).body)["role"] == "local"

        stage.write()
        assert (await one.get("/-/reload", "-X", "POST")).status == 200
        await one.eventually(lambda group: group["together"] is None)


async def test_asking_is_turned_off_and_on_by_a_reload(stage: Stage) -> None:
    """A receiver that fails makes its member half; when nobody asks any more, that is not held against it."""
    async with running(stage.config) as daemon:
        [member] = await stage.members(1)
        await daemon.says("joined", member=member.name)
        await daemon.eventually(lambda group: group["members"][0]["receiver"]["outcome"] == "answered")
        await member._receiver.close()
        await daemon.eventually(lambda group: group["members"][0]["state"] == "half")
        stage.write(group="receiver_check: {level: off}")
        await daemon.get("/-/reload", "-X", "POST")
        [seen] = (await daemon.group())["members"]
        assert (seen["state"], seen["receiver"]["not_asked"]) == ("alive", "receiver_check is off")
        stage.write()
        await daemon.get("/-/reload", "-X", "POST")
        await daemon.eventually(lambda group: group["members"][0]["state"] == "half")


async def test_protection_is_taken_anew_by_a_reload(stage: Stage, tmp_path: Path) -> None:
    """Basic auth begins without a restart; a web config that is wrong is refused like any other."""
    web = tmp_path / "web.yml"
    web.write_text("")
    async with running(stage.config, "--web.config.file", str(web)) as daemon:
        assert (await daemon.get("/")).status == 200
        web.write_text(f"basic_auth_users: {{ada: {bcrypt.hashpw(b'right', bcrypt.gensalt(4)).decode()}}}")
        assert (await daemon.get("/-/reload", "-X", "POST")).status == 200
        assert (await daemon.get("/")).status == 401
        assert (await daemon.get("/", "-u", "ada:right")).status == 200
        web.write_text("basic_auth_users: {ada: right}")
        reply = await daemon.get("/-/reload", "-X", "POST", "-u", "ada:right")
        assert reply.status == 400
        assert "no bcrypt hash" in reply.body
        assert (await daemon.get("/", "-u", "ada:right")).status == 200


@pytest.fixture(name="manager")
def _manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Give the socket systemd would listen on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)  # noqa: FBT003  # the socket module's own signature
        yield manager


async def test_systemd_is_told(stage: Stage, manager: socket.socket) -> None:
    """Ready, the verdict sentence, the watchdog, a reload between two marks, and the stop."""
    loop = asyncio.get_running_loop()

    async def until(start: str) -> list[str]:
        told: list[str] = []
        async with asyncio.timeout(10):
            while not told or not told[-1].startswith(start):
                told.append((await loop.sock_recv(manager, 4096)).decode())
        return told

    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "200000"}
    async with running(stage.config, **environment) as daemon:
        assert "READY=1" in await until("READY=1")
        await stage.members(1)
        await daemon.says("whole")
        status = (await until("STATUS=whole"))[-1]
        assert status.removeprefix("STATUS=") == (await daemon.group())["verdict"]["sentence"]
        for _ in range(3):
            await until("WATCHDOG=1")
        daemon.process.send_signal(signal.SIGHUP)
        reloading = (await until("RELOADING=1"))[-1]
        assert int(reloading.split("MONOTONIC_USEC=")[1]) <= time.monotonic_ns() // 1000
        await until("READY=1")
        await daemon.end()
        await until("STOPPING=1")


async def test_what_a_tomcat_believes_is_said_everywhere_alike(stage: Stage, manager: socket.socket) -> None:
    """Page, API, metrics, log and STATUS gain one clause, no state changes; a bad file changes nothing."""
    believes = ""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=believes)

    app = web.Application()
    app.router.add_get("/manager/jmxproxy", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/manager/jmxproxy"
    async with running(stage.config, NOTIFY_SOCKET=manager.getsockname()) as daemon:
        one, two = await stage.members(2)
        place = (GROUP, stage.port)
        believes = dump(one.member, [], [two.member], place, 600)
        await daemon.says("whole", alive=2)

        stage.write(group=f"belief: [{{url: '{url}', username: x, password_file: nowhere}}]")
        reply = await daemon.get("/-/reload", "-X", "POST")
        assert (reply.status, "the password cannot be read" in reply.body) == (400, True)
        assert (await daemon.group())["beliefs"] == []

        stage.write(group=f"belief: [{{url: '{url}'}}]")
        assert (await daemon.get("/-/reload", "-X", "POST")).status == 200
        await daemon.says("belief-read", source=url)
        text = f"{one.name} itself hears nobody: its own membership is empty"
        told = await daemon.says("belief", member=one.name)
        assert (told.said["text"], told.said["findings"]) == (text, "deaf")
        group = await daemon.eventually(lambda group: text in group["verdict"]["sentence"])
        assert group["verdict"]["sentence"].endswith(f": 2 of 2 members alive; {text}")
        assert group["verdict"]["state"] == "whole"
        member = next(each for each in group["members"] if each["member"] == one.name)
        assert [finding["text"] for finding in member["belief"]["findings"]] == [text]
        assert text in (await daemon.get("/")).body
        labels = f'{{finding="deaf",group="one",member="{one.name}"}}'
        assert await daemon.metric(f"tribes_member_belief{labels}") == "1.0"
        async with asyncio.timeout(5):
            status = ""
            while text not in status:
                status = (await asyncio.get_running_loop().sock_recv(manager, 4096)).decode()
        assert status.removeprefix("STATUS=") == group["verdict"]["sentence"]

        believes = dump(one.member, [two.member], [two.member], place, 600)
        assert (await daemon.says("belief", findings="")).said["member"] == one.name
        await daemon.eventually(lambda group: "itself" not in group["verdict"]["sentence"])
        assert [line.said["event"] for line in daemon.lines].count("belief") == 2

        stage.write()
        assert (await daemon.get("/-/reload", "-X", "POST")).status == 200
        assert (await daemon.group())["beliefs"] == []
    await runner.cleanup()


async def test_random_bytes_and_garbage_do_not_disturb_it(stage: Stage) -> None:
    """To the group, to the web port: who is there stays alive, memory stays, the noise is counted."""
    chance = random.Random(7)
    async with running(stage.config) as daemon:
        [member] = await stage.members(1)
        await daemon.says("joined", member=member.name)
        outlet = stage.outlet()
        host, port = daemon.url.removeprefix("http://").split(":")
        sound = encode(Heartbeat(member.member, 1000))

        async def shout(rounds: int) -> None:
            for _ in range(rounds):
                for _ in range(100):
                    cut = chance.randrange(len(sound))
                    outlet.send(chance.randbytes(chance.randrange(300)))
                    outlet.send(sound[:cut] + chance.randbytes(chance.randrange(60)))
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(chance.randbytes(2_000))
                writer.close()
                with contextlib.suppress(OSError):
                    await reader.read()

        await shout(50)
        before = _resident(daemon.process.pid)
        await shout(100)
        assert _resident(daemon.process.pid) - before < 8 * 2**20
        group = await daemon.group()
        assert sum(group["datagrams"].values()) > 1_000
        assert group["datagrams"]["foreign"] > 0
        assert group["datagrams"]["malformed"] > 0
        assert group["members"][0]["member"] == member.name
        assert not [line for line in daemon.lines if line.said["event"] in {"silent", "lost"}]
        assert daemon.noise == []


def _resident(pid: int) -> int:
    """Return bytes of memory in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
