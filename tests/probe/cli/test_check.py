"""``check``: what is in force and where it comes from; every mistake in a line of its own."""

from pathlib import Path

import pytest
from support.command import invoke, refused

from probe.memory import NOT_KEPT

SERVER_XML = """<Server><Engine><Cluster>
<Channel>
<Membership address="228.0.0.9" port="45570" dropTime="${drop}"/>
<Receiver port="5000" autoBind="10"/>
</Channel></Cluster></Engine></Server>
"""


@pytest.fixture(name="server_xml")
def _server_xml(tmp_path: Path) -> Path:
    path = tmp_path / "server.xml"
    path.write_text(SERVER_XML)
    (tmp_path / "catalina.properties").write_text("drop=6000\n")
    return path


def rows(output: str) -> dict[str, list[str]]:
    """Return the columns of each line by its first one."""
    columns = [[part for part in line.split("  ") if part] for line in output.splitlines()]
    return {row[0].strip(): [part.strip() for part in row[1:]] for row in columns}


def test_without_files_everything_is_a_default() -> None:
    """Nothing given is checked too: the defaults, and that they are."""
    result = invoke("check")
    assert result.exit_code == 0
    assert result.stdout.startswith("group 228.0.0.4:45564\n")
    found = rows(result.stdout)
    assert found["drop_time"] == ["3s", "default"]
    assert found["interfaces"] == ["every multicast interface", "default"]
    assert "web.listen_addresses :10564" in found


def test_a_settings_file_is_told(tmp_path: Path) -> None:
    """What the file says is shown with its place in it, what it leaves out as default."""
    file = tmp_path / "settings.yml"
    file.write_text(
        "groups: [{address: 239.1.2.3, frequency: 250ms, receiver_check: {level: ack}}]\nlog: {level: warn}"
    )
    result = invoke("check", "--config.file", file)
    assert result.exit_code == 0
    found = rows(result.stdout)
    assert found["address"] == ["239.1.2.3", f"{file}: groups[0]"]
    assert found["frequency"] == ["250ms", f"{file}: groups[0]"]
    assert found["receiver_check.level"] == ["ack", f"{file}: groups[0].receiver_check"]
    assert found["receiver_check.interval"] == ["10s", "default"]
    assert "log warn logfmt" in found


def test_sessions_are_told(tmp_path: Path) -> None:
    """The nodes they are made on; without any there is no line."""
    file = tmp_path / "settings.yml"
    file.write_text("groups: [{sessions: {nodes: [{url: 'http://a'}, {url: 'http://b', name: x}]}}]")
    found = rows(invoke("check", "--config.file", file).stdout)
    assert found["sessions"] == ["a http://a/, x http://b/", f"{file}: groups[0]"]
    assert "sessions" not in rows(invoke("check").stdout)


def test_a_server_xml_is_told(server_xml: Path) -> None:
    """What was taken from a Tomcat's file is shown with its line, placeholders replaced, and why it may ask."""
    result = invoke("check", "--server-xml", server_xml)
    assert result.exit_code == 0
    found = rows(result.stdout)
    assert found["address"] == ["228.0.0.9", f"{server_xml}:3"]
    assert found["drop_time"] == ["6s", f"{server_xml}:3"]
    assert found["frequency"] == ["500ms", f"{server_xml}:1 (Tomcat's default)"]
    assert found["receiver_check.allowed_ports"] == ["5000-5009", f"{server_xml}:4"]
    assert found["receiver_check.level"][0] == "ack"
    assert "TcpFailureDetector swallows the question" in found["receiver_check.level"][1]


def test_nothing_read_reaches_the_terminal_raw(tmp_path: Path) -> None:
    """A domain with control characters is shown escaped."""
    file = tmp_path / "settings.yml"
    file.write_text('groups: [{domain: "\\x1b[31mred"}]')
    assert rows(invoke("check", "--config.file", file).stdout)["domain"][0] == "'\\x1b[31mred'"


def test_where_the_learned_are_kept_is_told(tmp_path: Path) -> None:
    """The folder and who names it; that there is none, in one line, where somebody is to be learned."""
    file = tmp_path / "settings.yml"
    file.write_text("groups: [{expect: learned, learn_after: 30m}]")
    lines = invoke("check", "--config.file", file, env={"STATE_DIRECTORY": ""}).stdout.splitlines()
    at = lines.index("state_directory none")
    assert lines[at + 1] == NOT_KEPT
    found = rows("\n".join(lines))
    assert found["expect"] == ["learned", f"{file}: groups[0]"]
    assert found["learn_after"] == ["1800s", f"{file}: groups[0]"]
    output = invoke("check", "--config.file", file, env={"STATE_DIRECTORY": "/var/lib/x"}).stdout
    assert "state_directory /var/lib/x ($STATE_DIRECTORY)\n" in output
    file.write_text("groups: [{expect: learned}]\nstate_directory: here")
    output += invoke("check", "--config.file", file).stdout
    assert f"state_directory {tmp_path}/here\n" in output
    file.write_text("groups: [{}]")
    output += invoke("check", "--config.file", file, env={"STATE_DIRECTORY": ""}).stdout
    assert NOT_KEPT not in output


def test_whose_belief_is_read_and_what_is_unwise(tmp_path: Path) -> None:
    """Each source with its origin; a password that goes unencrypted to another host is warned of."""
    file = tmp_path / "settings.yml"
    (tmp_path / "password").write_text("s3cret")
    urls = [
        "http://127.0.0.1:8080/manager/jmxproxy",
        "http://[::1]:8080/manager/jmxproxy",
        "http://localhost:8080/manager/jmxproxy",
        "https://10.0.0.2:8443/manager/jmxproxy",
        "http://10.0.0.3:8080/manager/jmxproxy",
        "http://node4/manager/jmxproxy",
    ]
    sources = ", ".join(f"{{url: '{url}', username: probe, password_file: password}}" for url in urls)
    bare = "{url: 'http://10.0.0.5/jmxproxy', member: '10.0.0.5:4000'}"
    file.write_text(f"groups: [{{belief: [{sources}, {bare}]}}]")
    told = invoke("check", "--config.file", file).stdout
    assert rows(told)["belief[0]"] == [f"as it says {urls[0]} as 'probe'", f"{file}: groups[0]"]
    assert rows(told)["belief[6]"][0] == "10.0.0.5:4000 http://10.0.0.5/jmxproxy"
    warned = [line for line in told.splitlines() if line.startswith("warning: ")]
    assert warned == [
        f"warning: the belief of '228.0.0.4:45564': the password goes unencrypted to '{url}': "
        "use https, or a probe on that host and 127.0.0.1"
        for url in urls[4:]
    ]
    assert "s3cret" not in told


@pytest.mark.parametrize(
    ("flag", "text", "line"),
    [
        (
            "--config.file",
            "groups: [{port: 0}]",
            'FILE: groups[0].port: "0" is no whole number from 1 to 65535',
        ),
        ("--config.file", "groups: [", "FILE: line 1, column 10: is no YAML: expected the node content, "),
        ("--config.file", None, "FILE: cannot be read: No such file or directory"),
        (
            "--config.file",
            "web: {config_file: gone.yml}",
            "DIR/gone.yml: cannot be read: No such file or directory",
        ),
        ("--server-xml", "<Server/>", "FILE: has no <Cluster> element: nothing to watch"),
        ("--server-xml", "words", "FILE: is no XML: "),
        ("--server-xml", None, "FILE: cannot be read: No such file or directory"),
        (
            "--web.config.file",
            "basic_auth_users: {a: b}",
            "FILE: basic_auth_users.a: is no bcrypt hash: make one ",
        ),
        ("--web.config.file", None, "FILE: cannot be read: No such file or directory"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, flag: str, text: str | None, line: str) -> None:
    """A mistake in any of the files is one line, and exit status 2."""
    file = tmp_path / "file"
    if text is not None:
        file.write_text(text)
    told = refused("check", flag, file)
    assert told.replace(str(file), "FILE").replace(str(tmp_path), "DIR").startswith(line)


def test_every_mistake_is_told(tmp_path: Path, server_xml: Path) -> None:
    """Mistakes in several files are several lines of one run."""
    file = tmp_path / "settings.yml"
    file.write_text("groups: [{port: 0, drop_time: 3}]")
    (tmp_path / "catalina.properties").unlink()
    result = invoke("check", "--config.file", file, "--server-xml", server_xml)
    assert result.exit_code == 2
    assert result.stdout == ""
    undefined = "is defined nowhere: set it in catalina.properties beside the file"
    no_duration = "is no duration: write a number with its unit, such as 500ms, 3s, 1m or 1h"
    assert result.stderr.splitlines() == [
        f"tribes-probe: {server_xml}:3: Membership dropTime: ${{drop}} {undefined}",
        f'tribes-probe: {file}: groups[0].port: "0" is no whole number from 1 to 65535',
        f'tribes-probe: {file}: groups[0].drop_time: "3" {no_duration}',
    ]
