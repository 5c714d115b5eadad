"""A Tomcat's server.xml: what is taken from it; nothing hostile in it is read, opened or waited for."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.fields import ConfigError
from probe.tomcat.server_xml import LARGEST_FILE, MOST_CLUSTERS, ClusterElement, read_server_xml
from probe.tomcat.stack import Interceptor

HOW_TO = """<?xml version="1.0" encoding="UTF-8"?>
<Server port="8005" shutdown="SHUTDOWN">
  <Service name="Catalina">
    <Connector port="8080" protocol="HTTP/1.1"/>
    <Engine name="Catalina" defaultHost="localhost" jvmRoute="jvm1">
      <!-- <Cluster className="commented.Out"/> -->
      <Cluster className="org.apache.catalina.ha.tcp.SimpleTcpCluster"
               channelSendOptions="8">
        <Manager className="org.apache.catalina.ha.session.DeltaManager"
                 expireSessionsOnShutdown="false"
                 notifyListenersOnReplication="true"/>
        <Channel className="org.apache.catalina.tribes.group.GroupChannel">
          <Membership className="org.apache.catalina.tribes.membership.McastService"
                      address="228.0.0.4"
                      port="45564"
                      frequency="500"
                      dropTime="3000"/>
          <Receiver className="org.apache.catalina.tribes.transport.nio.NioReceiver"
                    address="auto"
                    port="4000"
                    autoBind="100"
                    selectorTimeout="5000"
                    maxThreads="6"/>
          <Sender className="org.apache.catalina.tribes.transport.ReplicationTransmitter">
            <Transport className="org.apache.catalina.tribes.transport.nio.PooledParallelSender"/>
          </Sender>
          <Interceptor className="org.apache.catalina.tribes.group.interceptors.TcpFailureDetector"/>
          <Interceptor className="org.apache.catalina.tribes.group.interceptors.MessageDispatchInterceptor"/>
        </Channel>
        <Valve className="org.apache.catalina.ha.tcp.ReplicationValve" filter=""/>
        <Valve className="org.apache.catalina.ha.session.JvmRouteBinderValve"/>
        <Deployer className="org.apache.catalina.ha.deploy.FarmWarDeployer" watchEnabled="false"/>
        <ClusterListener className="org.apache.catalina.ha.session.ClusterSessionListener"/>
      </Cluster>
      <Host name="localhost" appBase="webapps"/>
    </Engine>
  </Service>
</Server>
"""
"""The cluster of the 8.5 how-to."""


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "server.xml"


def cluster(channel: str) -> str:
    """Return a server.xml whose cluster has this in its channel."""
    return f"<Server><Engine><Cluster>\n<Channel>\n{channel}\n</Channel>\n</Cluster></Engine></Server>"


def read(file: Path, text: str) -> ClusterElement:
    """Return the one cluster of a file."""
    file.write_text(text)
    (found,) = read_server_xml(file)
    return found


def refused(file: Path, data: str | bytes) -> list[str]:
    """Return why a file is refused, with the file called FILE."""
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(ConfigError) as error:
        read_server_xml(file)
    return [problem.replace(str(file), "FILE") for problem in error.value.problems]


# -- what is taken


def test_the_how_to(file: Path) -> None:
    """The cluster of Tomcat's own how-to is read with every place told."""
    found = read(file, HOW_TO)
    assert (found.line, found.address, found.port, found.frequency, found.drop_time) == (
        8,
        "228.0.0.4",
        45564,
        0.5,
        3.0,
    )
    assert (found.receiver_address, found.receiver_ports(), found.send_options) == ("auto", (4000, 4099), "8")
    assert [one.name for one in found.stack] == ["TcpFailureDetector", "MessageDispatchInterceptor"]
    assert found.silent_answer()[0]
    assert (found.domain, found.bind, found.static_members, found.option_flag) == (None, None, (), 0)
    assert found.ttl == -1
    origins = found.origins()
    assert origins["address"] == origins["drop_time"] == f"{file}:17"
    assert origins["receiver_check.allowed_ports"] == f"{file}:23"
    assert origins["domain"] == f"{file}:8 (Tomcat's default)"


def test_defaults_are_tomcats(file: Path) -> None:
    """A bare Cluster element means what Tomcat makes of it."""
    found = read(file, '<Server><Engine><Cluster className="…SimpleTcpCluster"/></Engine></Server>')
    assert found == ClusterElement(
        file=str(file),
        line=1,
        address="228.0.0.4",
        port=45564,
        frequency=0.5,
        drop_time=3.0,
        receiver_port=4000,
        auto_bind=100,
        stack=(Interceptor("MessageDispatchInterceptor"), Interceptor("TcpFailureDetector")),
        send_options="8",
    )


def test_everything_is_taken(file: Path) -> None:
    """Every attribute that the probe needs arrives, times in seconds."""
    found = read(
        file,
        cluster(
            """<Membership address="FF15:0::4" port="45570" frequency="250" dropTime="1500"
                        domain="shop" bind="10.0.0.1" ttl="4"/>
            <Receiver address="10.0.0.1" port="5000" autoBind="10"/>
            <Interceptor className="a.TcpFailureDetector" optionFlag="256"/>
            <Interceptor className="a.StaticMembershipInterceptor">
              <LocalMember className="a.StaticMember" domain="shop"/>
              <Member className="a.StaticMember" host="10.0.0.7" port="4001"/>
              <Member className="a.StaticMember" host="{10,0,0,-56}" port="4002"/>
              <Member className="a.StaticMember" host="2001:db8:0::7" port="4003"/>
            </Interceptor>"""
        ),
    )
    assert (found.address, found.port, found.frequency, found.drop_time) == ("ff15::4", 45570, 0.25, 1.5)
    assert (found.domain, found.bind, found.receiver_address, found.ttl) == (b"shop", "10.0.0.1", "10.0.0.1", 4)
    assert (found.receiver_ports(), found.option_flag) == ((5000, 5009), 256)
    assert found.stack == (
        Interceptor("TcpFailureDetector", 256, 6),
        Interceptor("StaticMembershipInterceptor", 0, 7),
    )
    assert found.static_members == ("10.0.0.7:4001", "10.0.0.200:4002", "[2001:db8::7]:4003")


def test_members_of_a_static_membership(file: Path) -> None:
    """The members that a StaticMembershipService of 9.0 and later lists are taken too."""
    found = read(file, cluster('<Membership><Member host="10.0.0.7" port="4001"/></Membership>'))
    assert found.static_members == ("10.0.0.7:4001",)


def test_the_names_of_7_0(file: Path) -> None:
    """The attribute names of 7.0 and older are known; where both stand, the newer one counts."""
    found = read(
        file,
        cluster(
            '<Membership mcastAddr="228.0.0.9" mcastPort="45570" mcastFrequency="600" mcastDropTime="2000" '
            'mcastBindAddress="10.0.0.1" mcastTTL="2" port="45571"/>'
            '<Receiver tcpListenAddress="10.0.0.2" tcpListenPort="5000"/>'
        ),
    )
    assert (found.address, found.port, found.frequency, found.drop_time) == ("228.0.0.9", 45571, 0.6, 2.0)
    assert (found.bind, found.ttl, found.receiver_address, found.receiver_port) == (
        "10.0.0.1",
        2,
        "10.0.0.2",
        5000,
    )


@pytest.mark.parametrize(
    ("domain", "encoded"),
    [("shop", b"shop"), ("über", b"\xfcber"), ("€", b"?"), ("{1,-2,3}", b"\x01\xfe\x03"), ("", b"")],
)
def test_domains_are_encoded_as_tomcat_does(file: Path, domain: str, encoded: bytes) -> None:
    """A domain is ISO-8859-1, or bytes in braces."""
    assert read(file, cluster(f'<Membership domain="{domain}"/>')).domain == encoded


@pytest.mark.parametrize(
    ("receiver", "ports"),
    [
        ("", (4000, 4099)),
        ('port="5000"', (5000, 5099)),
        ('autoBind="1"', (4000, 4000)),
        ('autoBind="0"', (4000, 4000)),
        ('autoBind="-5"', (4000, 4000)),
        ('port="65500"', (65500, 65535)),
    ],
)
def test_ports_are_those_the_receiver_may_take(file: Path, receiver: str, ports: tuple[int, int]) -> None:
    """The receiver takes the first free port from port on, autoBind of them at most."""
    assert read(file, cluster(f"<Receiver {receiver}/>")).receiver_ports() == ports


def test_clusters_of_engines_and_hosts(file: Path) -> None:
    """Every Cluster of a file is a cluster, below an Engine or a Host, in order."""
    file.write_text(
        "<Server><Service><Engine><Cluster/><Host>\n"
        "<Cluster><Channel><Membership port='45565'/></Channel></Cluster>"
        "</Host></Engine></Service><Service><Engine><Host>\n<Cluster><Channel><Membership address='228.0.0.5'/>"
        "</Channel></Cluster></Host></Engine></Service></Server>"
    )
    found = read_server_xml(file)
    assert [(one.address, one.port, one.line) for one in found] == [
        ("228.0.0.4", 45564, 1),
        ("228.0.0.4", 45565, 2),
        ("228.0.0.5", 45564, 3),
    ]


def test_clusters_are_bounded(file: Path) -> None:
    """However many clusters a file has, the number that is read has a bound."""
    file.write_text("<Server>" + "<Cluster/>" * (MOST_CLUSTERS + 1) + "</Server>")
    assert len(read_server_xml(file)) == MOST_CLUSTERS


def test_nodes_may_differ_in_what_is_their_own(file: Path) -> None:
    """Two nodes disagree about times only: port and receiver are each one's own affair."""
    one = read(file, cluster('<Membership frequency="500"/><Receiver port="4000"/>'))
    other = read(file, cluster('<Membership frequency="250" dropTime="2000"/><Receiver port="5000"/>'))
    assert one.disagreements(one) == []
    assert one.disagreements(other) == [
        f"{file}:3: frequency is 0.25s here and 0.5s in {file}:3: make them equal on every node",
        f"{file}:3: dropTime is 2s here and 3s in {file}:1: make them equal on every node",
    ]


# -- placeholders


def test_placeholders_come_from_the_file_beside(file: Path) -> None:
    """The catalina.properties in the same folder is read; defaults and properties in properties count."""
    file.with_name("catalina.properties").write_text(
        "cluster.address=228.0.0.9\ncluster.port=${base}70\nbase=455\n# cluster.drop=1\n"
    )
    found = read(
        file,
        cluster(
            '<Membership address="${cluster.address}" port="${cluster.port}" dropTime="${cluster.drop:-4000}"/>'
            '<Interceptor className="${package:-a.b}.TcpFailureDetector"/>'
        ),
    )
    assert (found.address, found.port, found.drop_time) == ("228.0.0.9", 45570, 4.0)
    assert [one.name for one in found.stack] == ["TcpFailureDetector"]


def test_properties_may_be_handed_in(file: Path) -> None:
    """Properties that are handed in replace those of the file beside."""
    file.with_name("catalina.properties").write_text("port=1")
    file.write_text(cluster('<Membership port="${port}"/>'))
    assert read_server_xml(file, {"port": "45570"})[0].port == 45570


@pytest.mark.parametrize("name", ["cluster.port", "a.${b"])
def test_a_placeholder_that_nobody_defines(file: Path, name: str) -> None:
    """An undefined placeholder is a mistake with its place, its name and the remedy."""
    (line,) = refused(file, cluster(f'<Membership port="${{{name}}}"/>'))
    remedy = "set it in catalina.properties beside the file"
    assert line == f"FILE:3: Membership port: ${{{name}}} is defined nowhere: {remedy}"


# -- mistakes

MISTAKES = [
    ('<Membership address="10.0.0.1"/>', 'Membership address: "10.0.0.1" is no multicast address'),
    ('<Membership address="cluster"/>', 'Membership address: "cluster" is no address'),
    ('<Membership mcastAddr="cluster"/>', 'Membership mcastAddr: "cluster" is no address'),
    ('<Membership port="65536"/>', 'Membership port: "65536" is no port from 1 to 65535'),
    ('<Membership port="abc"/>', 'Membership port: "abc" is no number'),
    ('<Membership port=""/>', 'Membership port: "" is no number'),
    ('<Membership frequency="0"/>', 'Membership frequency: "0" is no time above 0 ms'),
    ('<Membership frequency="0.5"/>', 'Membership frequency: "0.5" is no number'),
    ('<Membership dropTime="-3000"/>', 'Membership dropTime: "-3000" is no time above 0 ms'),
    (
        '<Membership frequency="3000"/>',
        "Membership dropTime: 3000 ms is not above frequency 3000 ms: members would flap",
    ),
    (
        '<Membership domain="{1,x}"/>',
        'Membership domain: "{1,x}" is no list of bytes: write {1,-2,3} or a word',
    ),
    ('<Receiver port="0"/>', 'Receiver port: "0" is no port from 1 to 65535'),
    ('<Receiver autoBind="many"/>', 'Receiver autoBind: "many" is no number'),
    ('<Interceptor className="a.B" optionFlag="x"/>', 'Interceptor optionFlag: "x" is no number'),
    (
        '<Interceptor className="a.B"><Member host="tomcat1" port="4000"/></Interceptor>',
        'Member host: "tomcat1" is no address: a name cannot be matched with heartbeats',
    ),
    (
        '<Interceptor className="a.B"><Member host="{1,2}" port="4000"/></Interceptor>',
        'Member host: "{1,2}" is no address: a name cannot be matched with heartbeats',
    ),
]


@pytest.mark.parametrize(("channel", "line"), MISTAKES, ids=[line for _, line in MISTAKES])
def test_a_mistake_earns_one_line(file: Path, channel: str, line: str) -> None:
    """Each mistake is told once, with file, line, element and attribute."""
    assert refused(file, cluster(channel)) == [f"FILE:3: {line}"]


def test_every_mistake_is_told_at_once(file: Path) -> None:
    """Mistakes in several places are several lines."""
    assert refused(file, cluster('<Membership port="x"/>\n<Receiver port="y"/>')) == [
        'FILE:3: Membership port: "x" is no number',
        'FILE:4: Receiver port: "y" is no number',
    ]


def test_a_file_without_a_cluster(file: Path) -> None:
    """A sound server.xml without a Cluster has nothing to watch, and says so."""
    assert refused(file, "<Server><Service/></Server>") == ["FILE: has no <Cluster> element: nothing to watch"]


# -- hostile files

SECRET = "none of a cluster's business"  # noqa: S105  # no password


@pytest.fixture(name="asked")
def _asked() -> Iterator[tuple[str, list[str]]]:
    """Serve on loopback; return the address, and every path that is asked for."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()
        thread.join()


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
ENTITIES = {
    "billion laughs": f'<!DOCTYPE s [<!ENTITY l0 "ha">{LAUGHS}]><Server>&l9;<Cluster/></Server>',
    "billion laughs, in an attribute": (
        f'<!DOCTYPE s [<!ENTITY l0 "ha">{LAUGHS}]><Server><Cluster channelSendOptions="&l9;"/></Server>'
    ),
    "quadratic": (
        f'<!DOCTYPE s [<!ENTITY a "{"x" * 100_000}">]><Server><Cluster>{"&a;" * 100_000}</Cluster></Server>'
    ),
    "a file": '<!DOCTYPE s [<!ENTITY x SYSTEM "file://SECRET">]><Server><Cluster>&x;</Cluster></Server>',
    "a parameter, a file": '<!DOCTYPE s [<!ENTITY % x SYSTEM "file://SECRET">%x;]><Server><Cluster/></Server>',
    "an address": '<!DOCTYPE s [<!ENTITY x SYSTEM "ADDRESS/x">]><Server><Cluster/>&x;</Server>',
    "a parameter, an address": '<!DOCTYPE s [<!ENTITY % x SYSTEM "ADDRESS/p"> %x;]><Server><Cluster/></Server>',
    "one entity, never used": '<!DOCTYPE s [<!ENTITY x "y">]><Server><Cluster/></Server>',
}


@pytest.mark.parametrize("name", ENTITIES)
def test_entities_are_not_read(file: Path, asked: tuple[str, list[str]], name: str) -> None:
    """A file that declares entities is refused in one line; none is expanded, opened or fetched."""
    address, paths = asked
    secret = file.with_name("secret")
    secret.write_text(SECRET)
    (line,) = refused(file, ENTITIES[name].replace("SECRET", str(secret)).replace("ADDRESS", address))
    assert line.startswith("FILE: ")
    assert "\n" not in line
    assert len(line) < 300
    assert SECRET not in line
    assert paths == []


def test_a_dtd_elsewhere_is_not_fetched(file: Path, asked: tuple[str, list[str]]) -> None:
    """A document type that lies on the network or in a file is ignored: nothing is asked for."""
    address, paths = asked
    for system in (f"{address}/server.dtd", f"file://{file}"):
        found = read(file, f'<!DOCTYPE Server SYSTEM "{system}"><Server><Cluster/></Server>')
        assert found.address == "228.0.0.4"
    assert paths == []


def test_inclusions_are_not_followed(file: Path) -> None:
    """An XInclude is an element like any other: it is not followed."""
    secret = file.with_name("secret")
    secret.write_text("<Membership port='1'/>")
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{secret}"/>'
    assert read(file, cluster(include)).port == 45564


NO_XML = {
    "empty": b"",
    "only space": b" \n ",
    "words": b"not xml",
    "cut": HOW_TO[:900].encode(),
    "binary": bytes(range(256)) * 64,
    "a class": b"\xca\xfe\xba\xbe\x00\x00\x00\x3d",
    "zeros": bytes(4096),
    "two roots": b"<Server><Cluster/></Server><Server/>",
    "another attribute twice": b"<Server><Cluster a='1' a='2'/></Server>",
    "an encoding nobody knows": b'<?xml version="1.0" encoding="x-none"?><Server><Cluster/></Server>',
    "not its encoding": b'<?xml version="1.0" encoding="UTF-8"?><Server><Cluster className="\xff"/></Server>',
    "deep": b"<a>" * 100_000 + b"<Cluster/>" + b"</a>" * 100_000,
    "an entity that nobody declares": b"<Server><Cluster>&x;</Cluster></Server>",
}


@pytest.mark.parametrize("name", NO_XML)
def test_what_is_no_xml_earns_one_line(file: Path, name: str) -> None:
    """Whatever the bytes, the answer is one short line that names the file."""
    (line,) = refused(file, NO_XML[name])
    assert line.startswith("FILE: is no XML: ")
    assert line.isprintable()
    assert len(line) < 300


def test_other_encodings_are_read(file: Path) -> None:
    """A file in UTF-16 or ISO-8859-1 that says so is read as what it is."""
    for encoding in ("utf-16", "iso-8859-1"):
        text = f'<?xml version="1.0" encoding="{encoding}"?>' + cluster('<Membership domain="über"/>')
        file.write_bytes(text.encode(encoding))
        assert read_server_xml(file)[0].domain == b"\xfcber"


def test_a_file_too_large(file: Path) -> None:
    """A file beyond the bound is not parsed at all; one that never ends is not read to its end."""
    assert refused(file, b"<Server>" + b" " * LARGEST_FILE) == [
        "FILE: is larger than 4194304 bytes: no server.xml"
    ]
    with pytest.raises(ConfigError) as error:
        read_server_xml(Path("/dev/zero"))
    assert error.value.problems == ("/dev/zero: is larger than 4194304 bytes: no server.xml",)


def test_a_file_that_is_not_there(file: Path) -> None:
    """A missing file and a folder are told as such."""
    for path, reason in ((file, "No such file or directory"), (file.parent, "Is a directory")):
        with pytest.raises(ConfigError) as error:
            read_server_xml(path)
        assert error.value.problems == (f"{path}: cannot be read: {reason}",)
