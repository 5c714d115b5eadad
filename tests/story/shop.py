"""The shop: Apache httpd before two whole Tomcats 8.5, on hosts of their own, and her who sets it up."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from support import tomcat
from support.netns import Host, Lab
from support.watcher import COMMAND, Watcher

FOLDER: Final = Path(__file__).parent
NODES: Final = ("a", "b")
BLOG: Final = (FOLDER / "blog.xml").read_text(encoding="utf-8")
"""The cluster how-to's element of Tomcat 7.0, as it stands in many a blog."""
WEB_XML: Final = (FOLDER / "web.xml").read_text(encoding="utf-8")
DEBIANS: Final = "127.0.1.1"
"""What Debian's installer lets a host's own name lead to."""
SAME: Final = r"user (\w+)"
"""Who the page says one is."""
PATIENCE: Final = 60.0

_JVM: Final = ("java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_OPEN: Final = ("java.base/java.lang", "java.base/java.io", "java.base/java.util", "java.rmi/sun.rmi.transport")
_ENGINE: Final = '<Engine name="Catalina" defaultHost="localhost" jvmRoute="{}">'
_AJP: Final = '<Connector protocol="AJP/1.3" address="0.0.0.0" port="8009" secret="shop" />'
_OWN_HOST: Final = 'hostname "$0"; mount --bind "$1" /etc/hosts; mount -t sysfs sysfs /sys; shift; exec "$@"'
"""A host has its name, its /etc/hosts and its interfaces in /sys to itself."""


class Node:
    """One Tomcat with its CATALINA_BASE on a host of its own, called shop-NAME."""

    def __init__(self, name: str, host: Host, base: Path, home: Path) -> None:
        self.name = name
        self.host = host
        self.base = base
        self.server_xml = base / "conf/server.xml"
        self.web_xml = base / "webapps/shop/WEB-INF/web.xml"
        self.url = f"http://{host.address}:8080/shop/welcome"
        self.member = f"{host.address}:4000"
        self._home = home
        self._log = base / "logs/catalina.out"
        self._process: subprocess.Popen[Any] | None = None

    def install(self, *, cluster: str, web_xml: str = WEB_XML, resolves: str = DEBIANS) -> None:
        """Lay out the base anew: the distribution's own conf with a ``<Cluster>`` in it, and the application.

        ``{address}`` in the element is this host's; ``resolves`` is what the host's name leads to.
        """
        shutil.rmtree(self.base, ignore_errors=True)
        for folder in ("logs", "temp", "webapps/shop/WEB-INF"):
            (self.base / folder).mkdir(parents=True)
        shutil.copytree(self._home / "conf", self.base / "conf")
        shutil.copytree(self._home.parent / "shop", self.base / "webapps/shop/WEB-INF/classes")
        self.web_xml.write_text(web_xml, encoding="utf-8")
        self.server_xml.write_text(self._configured(cluster), encoding="utf-8")
        (self.base / "hosts").write_text(
            f"127.0.0.1 localhost\n{resolves} shop-{self.name}\n", encoding="ascii"
        )

    def _configured(self, cluster: str) -> str:
        text = (self._home / "conf/server.xml").read_text(encoding="utf-8")
        for pattern, element in (
            (r'<Engine name="Catalina" defaultHost="localhost">', _ENGINE.format(self.name)),
            (r"<!--\s*<Cluster [^>]*/>\s*-->", cluster.replace("{address}", self.host.address)),
            (r'<!--\s*<Connector protocol="AJP[^>]*/>\s*-->', _AJP),
        ):
            (found,) = re.findall(pattern, text)
            text = text.replace(found, element)
        return text

    def within(self, *command: str) -> list[str]:
        """Return the words that run a command as this host's own, with its name and its /etc/hosts."""
        own = ("unshare", "--uts", "--mount", "sh", "-ec", _OWN_HOST)
        return [*own, f"shop-{self.name}", str(self.base / "hosts"), *command]

    def start(self) -> None:
        """Start it, and wait until it is up: nodes that start at one time wait a minute for each other."""
        self.begin()
        self.logs(r"Server startup in")

    def begin(self) -> None:
        """Start it."""
        properties = {
            "catalina.home": self._home,
            "catalina.base": self.base,
            "java.io.tmpdir": self.base / "temp",
            "java.net.preferIPv4Stack": "true",
            "java.util.logging.config.file": self.base / "conf/logging.properties",
            "java.util.logging.manager": "org.apache.juli.ClassLoaderLogManager",
        }
        opened = [f"--add-opens={package}=ALL-UNNAMED" for package in _OPEN]
        defined = [f"-D{key}={value}" for key, value in properties.items()]
        jars = f"{self._home}/bin/bootstrap.jar:{self._home}/bin/tomcat-juli.jar"
        command = [*_JVM, *opened, *defined, "-cp", jars, "org.apache.catalina.startup.Bootstrap", "start"]
        with self._log.open("wb") as log:
            self._process = self.host.start(*self.within(*command), stdout=log, stderr=log)

    @property
    def log(self) -> str:
        """Return what it has said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def logs(self, pattern: str) -> str:
        """Wait for words in its log; return the line that has them."""
        until = time.monotonic() + PATIENCE
        while (found := re.search(f".*{pattern}.*", self.log)) is None:
            assert self._process is not None
            assert self._process.poll() is None, f"{self.name} ended: {self.log[-3000:]}"
            assert time.monotonic() < until, f"{self.name} never says {pattern}: {self.log[-3000:]}"
            time.sleep(0.05)
        return found[0]

    def ends(self) -> int:
        """Wait until it has ended by itself; return its exit status."""
        assert self._process is not None
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """Kill it: no goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)


class Shop:
    """The hosts, with httpd running: ``balanced`` spreads by turns, ``sticky`` is mod_jk by jvmRoute."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._user = folder / "user"
        self._user.write_text("canary", encoding="ascii")
        self._stack = ExitStack()
        self.lab = Lab(4)
        self._front, *hosts, self.outside = self.lab.hosts
        home = tomcat.distribution()
        tomcat.compiled(home, home.parent / "shop", FOLDER / "Shop.java")
        self.nodes = [Node(name, host, folder / name, home) for name, host in zip(NODES, hosts, strict=True)]
        self.balanced = f"http://{self._front.address}/shop"
        self.sticky = f"http://{self._front.address}:81/shop"

    def __enter__(self) -> Self:
        with ExitStack() as begun:
            begun.enter_context(self.lab)
            self._serve()
            self._stack = begun.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _serve(self) -> None:
        root = self._folder / "httpd"
        root.mkdir()
        addresses = {node.name.upper(): node.host.address for node in self.nodes}
        settings = {**os.environ, "FOLDER": str(root), "SHOP": self._front.address, **addresses}
        command = ("apache2", "-X", "-f", str(FOLDER / "httpd.conf"))  # one process: no child outlives it
        with (root / "out.log").open("wb") as log:
            httpd = self._front.start(*command, env=settings, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        while not self._is_open():
            said = "".join(path.read_text(encoding="utf-8") for path in root.glob("*.log"))
            assert httpd.poll() is None, f"httpd ended: {said}"
            assert time.monotonic() < until, f"httpd does not serve: {said}"
            time.sleep(0.05)

    def _is_open(self) -> bool:
        with self.outside.inside(), socket.socket() as one:
            return one.connect_ex((self._front.address, 80)) == 0

    @contextmanager
    def running(self, cluster: str, web_xml: str = WEB_XML) -> Iterator[list[Node]]:
        """Run both Tomcats with an element and a web.xml, started one after the other."""
        with self.ending():
            for node in self.nodes:
                node.install(cluster=cluster, web_xml=web_xml)
                node.start()
            yield self.nodes

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Kill the Tomcats that still run when the block is left."""
        try:
            yield
        finally:
            for node in self.nodes:
                node.kill()

    def probe(self, name: str, **more: object) -> Watcher:
        """Return a probe outside that takes the group from a node's own server.xml and expects both."""
        group = {
            "name": "shop",
            "server_xml": str(self.nodes[0].server_xml),
            "interfaces": ["eth0"],
            "expected": [node.member for node in self.nodes],
            "receiver_check": {"interval": "1s", "timeout": "900ms"},
            **more,
        }
        return Watcher(self.outside, self._folder / f"probe-{name}", [group])

    @property
    def sessions(self) -> dict[str, object]:
        """Return the settings with which a probe logs in on each node and looks on the other."""
        return {
            "nodes": [{"url": node.url, "name": node.name} for node in self.nodes],
            "login": {"path": "/shop/login", "fields": {"user": str(self._user)}},
            "expect_same": SAME,
            "interval": "3s",
            "timeout": "2s",
            "give_up": "2s",
        }

    def canary(
        self, *more: str, options: Iterable[str] = ("--give-up", "1s")
    ) -> "subprocess.CompletedProcess[str]":
        """Log in on each node and look on the other, once."""
        login = ("--login", "/shop/login", "--field", f"user={self._user}", "--expect-same", SAME)
        return self.ask("session", *login, *options, *(more or (node.url for node in self.nodes)))

    def ask(self, *arguments: str | Path, on: Node | None = None) -> "subprocess.CompletedProcess[str]":
        """Run tribes-probe outside, or on a node's host, to its end."""
        command = [str(COMMAND), *(str(each) for each in arguments)]
        host, words = (on.host, on.within(*command)) if on is not None else (self.outside, command)
        with host.inside():
            return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
