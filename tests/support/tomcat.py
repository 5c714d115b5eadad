"""Real Tomcats as peers: their jars, brought by Maven, and processes that run them."""

import functools
import hashlib
import json
import queue
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Self

FOLDER: Final = Path(__file__).parent.parent / "tomcat"
TRIBES: Final = ("6.0", "7.0", "8.5", "9.0", "10.1", "11.0")
"""Branches whose Tribes classes are run, and that start from a server.xml."""
WHOLE: Final = TRIBES[2:]
"""Branches that are run whole, with an application."""
PATIENCE: Final = 60.0
"""seconds within which a JVM answers even on a busy machine."""

_JVM: Final = ("java", "-Xmx128m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_OPEN: Final = ("java.base/java.lang", "java.base/java.io", "java.base/java.util", "java.rmi/sun.rmi.transport")

Start = Callable[..., "subprocess.Popen[Any]"]
"""How a process is begun: ``subprocess.Popen``'s arguments, the command as separate words."""


@functools.cache
def class_path(branch: str) -> str:
    """Return the class path of a branch, after fetching its jars and compiling against them where needed."""
    target = FOLDER / "target" / branch
    sources = [*(FOLDER / "src").glob("*.java")]
    if branch in WHOLE:
        sources += (FOLDER / "server").glob("*.java")

    def make() -> None:
        _fetch(branch, target / "lib")
        _run("javac", "-nowarn", "-cp", f"{target}/lib/*", "-d", target / "classes", *sources)

    _keep(target, sources, make)
    return f"{target}/lib/*:{target}/classes"


@functools.cache
def distribution() -> Path:
    """Return the folder of a Tomcat 8.5 as it is downloaded, fetched where needed."""
    target = FOLDER / "target" / "distribution"

    def make() -> None:
        _fetch("distribution", target / "lib")
        (archive,) = (target / "lib").glob("tomcat-*.tar.gz")
        _run("tar", "--extract", "--no-same-owner", "--file", archive, "--directory", target)

    _keep(target, [], make)
    (home,) = target.glob("apache-tomcat-*")
    return home


def compiled(home: Path, target: Path, *sources: Path) -> None:
    """Compile servlets against a distribution's own classes into a folder."""
    _run(
        "javac", "-nowarn", "--release", "8", "-Xlint:-options", "-cp", f"{home}/lib/*", "-d", target, *sources
    )


def _keep(target: Path, sources: list[Path], make: Callable[[], None]) -> None:
    """Make a folder anew unless it was made of the same pom and sources."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (FOLDER / "pom.xml", *sorted(sources))))
    stamp = target / "made"
    if not stamp.exists() or stamp.read_text(encoding="ascii") != digest.hexdigest():
        shutil.rmtree(target, ignore_errors=True)
        make()
        stamp.write_text(digest.hexdigest(), encoding="ascii")


def _fetch(profile: str, lib: Path) -> None:
    _run("mvn", "-q", "-B", "-f", FOLDER / "pom.xml", "-P", profile, f"-Dlib={lib}", "process-resources")


def _run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{command[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


class Java:
    """A running main class: orders go in, a line for each thing that happens comes out; its log is a file."""

    def __init__(self, command: list[str], log: Path, start: Start) -> None:
        self.log = log
        with log.open("ab") as errors:
            self.process = start(
                *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self._lines: queue.Queue[str] = queue.Queue()
        self._is_ready = False
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _read(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))

    def order(self, text: str) -> None:
        """Write one line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def line(self, patience: float = PATIENCE) -> str:
        """Wait for the next line of whatever it prints."""
        try:
            return self._lines.get(timeout=max(0.0, patience))
        except queue.Empty:
            log = self.log.read_text(errors="replace")[-3000:]
            raise AssertionError(f"it says nothing; its log: {log}") from None

    def hears(self, word: str, patience: float = PATIENCE) -> str:
        """Wait for a line that starts with a word; return the rest of it."""
        until = time.monotonic() + patience
        while True:
            first, _, rest = self.line(until - time.monotonic()).partition(" ")
            if first == word:
                return rest

    def ask(self, order: str) -> str:
        """Return its answer to an order that is answered by a line starting with it."""
        self.order(order)
        return self.hears(order)

    def be_ready(self) -> None:
        """Wait until it has all but joined."""
        if not self._is_ready:
            self.hears("ready")
            self._is_ready = True

    def go(self) -> dict[str, Any]:
        """Have it join its cluster; return its own member fields as it says them itself."""
        self.be_ready()
        self.order("go")
        fields: dict[str, Any] = json.loads(self.hears("member"))
        return fields

    def is_running(self) -> bool:
        """Whether it is neither gone nor stopped where it stands."""
        if self.process.poll() is not None:
            return False
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii", errors="replace")
        return stat.rpartition(") ")[2][0] != "T"

    def stop(self) -> None:
        """Stop it cleanly."""
        self.order("stop")
        self.hears("stopped")
        self.process.wait(PATIENCE)
        self._close()

    def kill(self) -> None:
        """Kill it: no goodbye."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self._close()

    def _close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def popen(*command: str, **options: Any) -> "subprocess.Popen[Any]":
    """Start a process on this host."""
    return subprocess.Popen(command, **options)


def peer(branch: str, log: Path, start: Start = popen, *, ipv6: bool = False, **settings: object) -> Java:
    """Return one member on a branch's Tribes classes, ready to ``go``; settings as ``Peer.java`` reads them."""
    stack = f"-Djava.net.preferIPv4Stack={str(not ipv6).lower()}"
    options = [f"{key}={value}" for key, value in settings.items()]
    command = [*_JVM, stack, "-cp", class_path(branch), "Peer", *options]
    return Java(command, log, start)


class Sessions(NamedTuple):
    """How a whole Tomcat keeps its sessions; as the how-to has it unless said otherwise."""

    send_options: int = 8
    manager: str = "DeltaManager"
    distributable: bool = True
    cluster: bool = True


HOW_TO: Final = Sessions()


def server(
    branch: str,
    base: Path,
    address: str,
    start: Start = popen,
    group_port: int = 45564,
    manager: tuple[str, str] | None = None,
    sessions: Sessions = HOW_TO,
) -> Java:
    """Return a whole Tomcat with ``server.xml`` and one small application, ready to ``go``.

    With the name and password of a user it has the Manager's jmxproxy, too, at ``JMXPROXY``.
    """
    for folder in ("conf", "webapps/app/WEB-INF", "temp", "war-temp", "war-deploy", "war-listen"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    _configure(base, sessions)
    if manager is not None:
        _add_manager(base, *manager)
    properties = {
        "catalina.home": base,
        "catalina.base": base,
        "java.io.tmpdir": base / "temp",
        "node.address": address,
        "node.name": base.name,
        "group.port": group_port,
        "send.options": sessions.send_options,
        "session.manager": sessions.manager,
        "java.net.preferIPv4Stack": "true",
    }
    opened = [f"--add-opens={package}=ALL-UNNAMED" for package in _OPEN]
    defined = [f"-D{key}={value}" for key, value in properties.items()]
    command = [*_JVM, *opened, *defined, "-cp", class_path(branch), "Server"]
    return Java(command, base / "log", start)


def _configure(base: Path, sessions: Sessions) -> None:
    """Write the configuration and the application."""
    xml = (FOLDER / "server.xml").read_text(encoding="utf-8")
    if not sessions.cluster:
        xml = re.sub("<Cluster className.*</Cluster>", "", xml, flags=re.DOTALL)
    (base / "conf/server.xml").write_text(xml, encoding="utf-8")
    mark = "<distributable/>" if sessions.distributable else ""
    (base / "webapps/app/WEB-INF/web.xml").write_text(f"<web-app>{mark}</web-app>", encoding="ascii")


JMXPROXY: Final = ":8080/manager/jmxproxy"

_MANAGER: Final = """\
<web-app>
  <servlet>
    <servlet-name>JMXProxy</servlet-name>
    <servlet-class>org.apache.catalina.manager.JMXProxyServlet</servlet-class>
  </servlet>
  <servlet-mapping>
    <servlet-name>JMXProxy</servlet-name><url-pattern>/jmxproxy/*</url-pattern>
  </servlet-mapping>
  <security-constraint>
    <web-resource-collection>
      <web-resource-name>JMX Proxy</web-resource-name><url-pattern>/jmxproxy/*</url-pattern>
    </web-resource-collection>
    <auth-constraint><role-name>manager-jmx</role-name></auth-constraint>
  </security-constraint>
  <login-config><auth-method>BASIC</auth-method><realm-name>Manager</realm-name></login-config>
  <security-role><role-name>manager-jmx</role-name></security-role>
</web-app>
"""
"""The part of the Manager's own web.xml that is asked; its other servlets are not needed."""


def _add_manager(base: Path, username: str, password: str) -> None:
    """Deploy the real JMXProxyServlet behind basic auth."""
    application = base / "webapps/manager"
    for folder in ("WEB-INF", "META-INF"):
        (application / folder).mkdir(parents=True, exist_ok=True)
    (application / "WEB-INF/web.xml").write_text(_MANAGER, encoding="ascii")
    realm = '<Realm className="org.apache.catalina.realm.MemoryRealm" pathname="conf/users.xml" />'
    (application / "META-INF/context.xml").write_text(
        f'<Context privileged="true">{realm}</Context>', encoding="ascii"
    )
    user = f'<user username="{username}" password="{password}" roles="manager-jmx" />'
    (base / "conf/users.xml").write_text(f"<tomcat-users>{user}</tomcat-users>", encoding="ascii")


def starter(branch: str, base: Path, name: str, start: Start = popen) -> Java:
    """Return what starts a Tomcat of a branch from each server.xml that is named to it, one after another."""
    properties = {
        "catalina.home": base,
        "catalina.base": base,
        "java.io.tmpdir": base / "temp",
        "java.net.preferIPv4Stack": "true",
        "jdk.net.hosts.file": base / "hosts",
    }
    opened = [f"--add-opens={package}=ALL-UNNAMED" for package in _OPEN]
    defined = [f"-D{key}={value}" for key, value in properties.items()]
    command = [*_JVM, *opened, *defined, "-cp", class_path(branch), "Starter"]
    named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
    return Java([*named, *command], base / "log", start)


def oracle(branch: str, log: Path) -> Java:
    """Return what answers lines "member HEX" and "frames HEX" as a branch's own classes do."""
    heap = ("-Xmx70m", "-Xmn8m")  # 62 MiB is the largest array: what the probe calls lethal is
    return Java([*_JVM, *heap, "-cp", class_path(branch), "Oracle"], log, popen)


def setters(branch: str, log: Path) -> Java:
    """Return what answers each class name with the attributes that a branch's Digester can set on it."""
    return Java([*_JVM, "-cp", class_path(branch), "Setters"], log, popen)


def membership_nanoseconds(branch: str, *members: int) -> dict[int, float]:
    """Return what one heartbeat costs the branch's own classes for so many members, warmed up, in CPU ns."""
    answer = _run("java", "-cp", class_path(branch), "Bench", *members)
    return {int(count): float(cost) for count, cost in (line.split() for line in answer.splitlines())}
