"""The daemon learns whom to miss: over its own end, in several groups, until asked to forget."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from support.authority import Authority
from support.curl import Reply
from support.daemon import Daemon, running
from support.stage import GROUP, Stage, free_port

ASKED = "receiver_check: {interval: 300ms, timeout: 200ms, level: ack, allowed_ports: 1-65535}"
LEARNS = f"""expect: learned
    learn_after: 800ms
    {ASKED}"""
EXPECTED = "tribes_cluster_members_expected"
SAVED = "tribes_probe_state_saved"
COMMAND = Path(sys.executable).parent / "tribes-probe"


@pytest.fixture(name="stage")
async def _stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a stage whose group learns, and a folder for what it learns."""
    stage = Stage(tmp_path)
    (tmp_path / "state").mkdir()
    stage.write(group=LEARNS, head="state_directory: state")
    async with stage.opened:
        yield stage


def saved(stage: Stage, port: int = 0) -> set[str]:
    """Return who stands in a group's file."""
    path = stage.config.parent / "state" / f"learned-{GROUP}-{port or stage.port}.json"
    return {one["member"] for one in json.loads(path.read_text())["learned"]} if path.exists() else set()


async def save(stage: Stage, wanted: set[str]) -> None:
    """Wait until these and no others stand in the file."""
    async with asyncio.timeout(10):
        while saved(stage) != wanted:  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.01)


def who(group: dict[str, Any]) -> dict[str, str | None]:
    """Return who expects each member."""
    return {one["member"]: one["expected_by"] for one in group["members"]}


async def forget(daemon: Daemon, *options: str, **wanted: str) -> Reply:
    """Ask by the API to forget."""
    data = ("-H", "Content-Type: application/json", "-d", json.dumps(wanted))
    return await daemon.get("/api/v1/forget", *data, *options)


async def test_a_probe_that_restarts_in_an_outage_knows_whom_to_miss(stage: Stage) -> None:
    """Learned, lost, the probe killed: the next one expects and asks it, and knows it when it is back."""
    async with running(stage.config) as daemon:
        members = await stage.members(3)
        for member in members:
            learned = await daemon.says("learned", member=member.name)
        assert learned.said["text"].endswith(
            "was up for 0.8 s: it is expected until it is forgotten by request"
        )
        names = {member.name for member in members}
        await save(stage, names)
        assert await daemon.metric(f'{EXPECTED}{{group="one"}}') == "3.0"
        assert await daemon.metric(f'{SAVED}{{group="one"}}') == "1.0"
        gone = members[2]
        await gone.crash()
        await daemon.says("lost", member=gone.name)
        daemon.process.kill()
        await daemon.process.wait()

    async with running(stage.config) as daemon:
        await daemon.says("degraded")
        group = await daemon.eventually(
            lambda group: all(one["receiver"]["outcome"] for one in group["members"])
        )
        assert who(group) == dict.fromkeys(names, "learned")
        assert (await daemon.states())[gone.name] == "unheard"
        [one] = [one for one in group["members"] if one["member"] == gone.name]
        assert one["receiver"]["outcome"] == "refused"
        assert (
            f"2 of 3 members alive; {gone.name} was learned before this probe started"
            in (group["verdict"]["sentence"])
        )
        assert not [line for line in daemon.lines if line.said["event"] == "stranger"]
        assert "expected: learned" in (await daemon.get("/")).body
        mark = len(daemon.lines)
        gone.renew()
        gone.start()
        await daemon.says("whole", after=mark)
        assert await daemon.metric(f'{EXPECTED}{{group="one"}}') == "3.0"
        gone.goodbye()
        await daemon.says("left", member=gone.name)
        await daemon.says("degraded", after=mark)
        assert saved(stage) == names


async def test_each_group_has_its_own_and_a_damaged_file_harms_no_other(stage: Stage) -> None:
    """One line for the damaged one, which is kept; the other group misses whom it learned."""
    port = free_port(socket.SOCK_DGRAM)
    second = f"""  - name: two
    address: {GROUP}
    port: {port}
    interfaces: [lo]
    frequency: 100ms
    drop_time: 600ms
    {LEARNS}"""
    stage.write(group=LEARNS, more=second, head="state_directory: state")
    async with running(stage.config) as daemon:
        [one], [two] = await stage.members(1), await stage.members(1, port)
        await daemon.says("learned", member=one.name, group="one")
        await daemon.says("learned", member=two.name, group="two")
    assert (saved(stage), saved(stage, port)) == ({one.name}, {two.name})
    path = stage.config.parent / "state" / f"learned-{GROUP}-{stage.port}.json"
    half = path.read_text()[:60]
    path.write_text(half)
    await one.crash()
    await two.crash()
    async with running(stage.config) as daemon:
        damaged = await daemon.says("state-damaged", group="one")
        assert f"{path} cannot be used: it is cut off or no JSON: it is kept as " in damaged.said["text"]
        [aside] = path.parent.glob("*.damaged-*")
        assert aside.read_text() == half
        assert who(await daemon.group(0)) == {}
        assert who(await daemon.group(1)) == {two.name: "learned"}
        two.renew()
        two.start()
        await daemon.says("joined", member=two.name)
        reply = await forget(daemon, member=one.name, group="two")
        assert (reply.status, reply.body) == (404, f"not forgotten: {one.name} is not known\n")


ANSWERS = [
    ({"member": "10.9.9.9:4000"}, 404, "10.9.9.9:4000 is not known"),
    ({"member": "HERE", "group": "three"}, 404, 'no group is called "three": there is one'),
    ({"member": "LISTED"}, 400, "LISTED is expected by the settings of one: take it out there and reload"),
    ({"member": "tomcat1"}, 400, '"tomcat1" is no member: write address:port, such as 10.0.0.1:4000'),
    ({"member": "HERE", "why": "x"}, 400, "Object contains unknown field `why`"),
    ({"group": "one"}, 400, "Object missing required field `member`"),
]


async def test_the_api_forgets(stage: Stage) -> None:
    """Every answer is one line; who is up waits again, who is gone leaves at once and for good."""
    listed = "10.7.7.7:4000"
    stage.write(group=f"{LEARNS}\n    expected: ['{listed}']", head="state_directory: state")
    async with running(stage.config) as daemon:
        here, gone = await stage.members(2)
        await daemon.says("joined", member=here.name)
        reply = await forget(daemon, member=here.name)
        assert reply.status == 400
        assert (
            reply.body
            == f"not forgotten: {here.name} is heard in one and was not learned: nothing is to be forgotten\n"
        )
        for member in (here, gone):
            await daemon.says("learned", member=member.name)
        await gone.crash()
        await daemon.says("silent", member=gone.name)
        for body, status, text in ANSWERS:
            meant = {"HERE": here.name, "LISTED": listed}
            reply = await forget(daemon, **{key: meant.get(value, value) for key, value in body.items()})
            wanted = f"not forgotten: {text.replace('LISTED', listed)}\n"
            assert (reply.status, reply.body) == (status, wanted)
        reply = await daemon.get("/api/v1/forget", "-d", f"member={gone.name}")
        assert (reply.status, reply.body.startswith("not forgotten: send JSON")) == (400, True)
        assert (await daemon.get("/api/v1/forget")).status == 405
        assert who(await daemon.group()) == {listed: "settings", here.name: "learned", gone.name: "learned"}

        reply = await forget(daemon, member=gone.name, group="one")
        assert (reply.status, reply.body) == (200, f"{gone.name} of one is forgotten\n")
        await daemon.says("forgotten", member=gone.name)
        await daemon.says("forget", member=gone.name)
        await save(stage, {here.name})
        mark = len(daemon.lines)
        reply = await forget(daemon, member=here.name)
        assert reply.status == 200
        assert reply.body.endswith("is heard, and is expected again once it is up for 0.8 s more\n")
        assert who(await daemon.group()) == {listed: "settings", here.name: None}
        await daemon.says("learned", after=mark, member=here.name)
        await save(stage, {here.name})
    async with running(stage.config) as daemon:
        assert who(await daemon.group()) == {listed: "settings", here.name: "learned"}


async def test_the_command_forgets_where_tls_and_a_password_guard(stage: Stage, tmp_path: Path) -> None:
    """As the API, with certificate and password; without them, or with wrong ones, one line and status 1."""
    authority, stranger = Authority(tmp_path, "authority"), Authority(tmp_path, "stranger")
    pair = authority.issue("server")
    web = tmp_path / "web.yml"
    web.write_text(
        f"tls_server_config: {{cert_file: {pair.cert}, key_file: {pair.key}}}\n"
        f"basic_auth_users: {{ada: {bcrypt.hashpw(b'right', bcrypt.gensalt(4)).decode()}}}\n"
    )
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("right\n")
    wrong.write_text("wrong\n")
    async with running(stage.config, "--web.config.file", str(web)) as daemon:
        [member] = await stage.members(1)
        await daemon.says("learned", member=member.name)
        await member.crash()
        await daemon.says("silent", member=member.name)
        known = ("--ca-file", authority.pair.cert)
        me = ("--user", "ada", "--password-file", str(right))
        for options, why in (
            (me, "certificate verify failed"),
            ((*me, "--ca-file", stranger.pair.cert), "certificate verify failed"),
            (known, "it asks for another name and password: see --user"),
            ((*known, *me[:3], str(wrong)), "it asks for another name and password: see --user"),
            ((*known, *me, "--group", "two"), 'not forgotten: no group is called "two": there is one'),
        ):
            status, out, error = await command("--url", daemon.url, *options, member.name)
            assert (status, out) == (1, "")
            assert error.startswith(f"tribes-probe: {daemon.url}: ")
            assert why in error
            assert len(error.splitlines()) == 1
        reply = await forget(daemon, "--cacert", authority.pair.cert, member=member.name)
        assert reply.status == 401
        status, out, error = await command("--url", daemon.url, *known, *me, member.name)
        assert (status, out, error) == (0, f"{member.name} of one is forgotten\n", "")
        daemon.noise.clear()  # the debug mode of the tests tells of refused handshakes
    assert saved(stage) == set()


async def command(*arguments: str) -> tuple[int | None, str, str]:
    """Run ``tribes-probe forget``."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, "forget", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await process.communicate()
    return process.returncode, out.decode(), error.decode()


async def test_reloads_keep_what_was_learned_and_another_address_starts_anew(stage: Stage) -> None:
    """Other settings change nothing; another port is another group, whose learned come and go with it."""
    async with running(stage.config) as daemon:
        [member] = await stage.members(1)
        await daemon.says("learned", member=member.name)
        await member.crash()
        await daemon.says("silent", member=member.name)
        for group, expected in ((LEARNS.replace("800ms", "5h"), "learned"), (ASKED, None), (LEARNS, "learned")):
            stage.write(group=group, head="state_directory: state\nforget_after: 1m")
            assert (await daemon.get("/-/reload", "-X", "POST")).status == 200
            assert who(await daemon.group()) == {member.name: expected}
        other = free_port(socket.SOCK_DGRAM)
        stage.write(group=LEARNS, port=other, head="state_directory: state")
        assert (await daemon.get("/-/reload", "-X", "POST")).status == 200
        assert who(await daemon.group()) == {member.name: None}
        assert await daemon.metric(f'{EXPECTED}{{group="one"}}') == "0.0"
        assert saved(stage) == {member.name}
        stage.write(group=LEARNS, head="state_directory: state")
        assert (await daemon.get("/-/reload", "-X", "POST")).status == 200
        assert who(await daemon.group()) == {member.name: "learned"}


async def test_a_disk_that_refuses_is_one_line_and_a_metric(stage: Stage) -> None:
    """The probe goes on; with the next change it is tried again, and that it works is told too."""
    state = stage.config.parent / "state"
    obstacle = state / f".learned-{GROUP}-{stage.port}.json.new"
    obstacle.mkdir()
    async with running(stage.config) as daemon:
        [one] = await stage.members(1)
        await daemon.says("learned", member=one.name)
        said = await daemon.says("state-not-saved", group="one")
        assert said.said["level"] == "warn"
        assert said.said["text"].startswith("who was learned cannot be saved, and is lost if the probe stops: ")
        assert await daemon.metric(f'{SAVED}{{group="one"}}') == "0.0"
        obstacle.rmdir()
        [two] = await stage.members(1)
        await daemon.says("state-saved", group="one")
        assert await daemon.metric(f'{SAVED}{{group="one"}}') == "1.0"
        assert saved(stage) == {one.name, two.name}


async def test_systemd_says_where_and_nowhere_is_said(stage: Stage, tmp_path: Path) -> None:
    """The first of $STATE_DIRECTORY; without it and the setting one line, and no metric."""
    stage.write(group=LEARNS)
    state = tmp_path / "state"
    async with running(stage.config, STATE_DIRECTORY=f"{state}:/nowhere") as daemon:
        [member] = await stage.members(1)
        await daemon.says("learned", member=member.name)
        await save(stage, {member.name})
        assert not [line for line in daemon.lines if line.said["event"] == "state-not-saved"]
    environment = {"STATE_DIRECTORY": ""}
    async with running(stage.config, **environment) as daemon:
        said = await daemon.says("state-not-saved")
        assert "learned members last only until the probe stops" in said.said["text"]
        assert SAVED + "{" not in (await daemon.get("/metrics")).body
        await daemon.says("learned", member=member.name)
        await daemon.end(signal.SIGTERM)


async def test_a_stop_saves_what_is_not_saved_yet(stage: Stage) -> None:
    """SIGTERM right behind the learning; the file is whole and nobody is missing in it."""
    async with running(stage.config) as daemon:
        members = await stage.members(20)
        await daemon.says("learned", member=members[0].name)
        os.kill(daemon.process.pid, signal.SIGTERM)
        await daemon.process.wait()
        told = {line.said["member"] for line in daemon.lines if line.said["event"] == "learned"}
    assert saved(stage) >= told
