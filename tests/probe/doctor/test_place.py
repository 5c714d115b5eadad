"""The JVMs that run, and the kind of machine: read from files made for it, and judged."""

from pathlib import Path
from typing import Any

import pytest
from support.examination import OWN, subject

from probe.doctor import container, jvm
from probe.doctor.container import Place, read_place
from probe.doctor.finding import Status
from probe.doctor.jvm import Tomcat, Tomcats, read_tomcats

BASE = "-Dcatalina.base=/srv"
FLAG = "-Djava.net.preferIPv4Stack"


def process(
    root: Path, pid: int, *words: str, environment: str | None = "", namespace: str = "net:[1]"
) -> None:
    """Write a process."""
    folder = root / "proc" / str(pid)
    (folder / "ns").mkdir(parents=True)
    (folder / "cmdline").write_text("\0".join(words) + "\0")
    (folder / "ns/net").symlink_to(namespace)
    if environment is not None:
        (folder / "environ").write_text(environment)


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    (tmp_path / "proc/self/ns").mkdir(parents=True)
    (tmp_path / "proc/self/ns/net").symlink_to("net:[1]")
    process(tmp_path, 1, "/sbin/init")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        ((BASE,), "", None),
        ((f"{FLAG}=true", BASE), "", True),
        ((f"{FLAG}=false", BASE), "", False),
        ((f"{FLAG}=true", f"{FLAG}=false", BASE), "", False),
        ((FLAG, BASE), "", False),
        ((BASE,), f"A=b\0JAVA_TOOL_OPTIONS=-Xmx1g {FLAG}=true\0", True),
        ((f"{FLAG}=false", BASE), f"JDK_JAVA_OPTIONS={FLAG}=true\0", False),
    ],
)
def test_the_flag(root: Path, words: tuple[str, ...], environment: str, said: bool | None) -> None:  # noqa: FBT001
    """The last one counts, the command line after what the environment adds."""
    process(root, 20, "/usr/bin/java", *words, "org.example.Main", environment=environment)
    process(root, 21, "/usr/bin/java", "-jar", "other.jar")
    assert read_tomcats(root) == Tomcats((Tomcat(20, said),))


def test_who_is_a_tomcat_of_this_host(root: Path) -> None:
    """Bootstrap is one; one in another network namespace is another host's; an environment may be closed."""
    process(root, 20, "java", "org.apache.catalina.startup.Bootstrap", environment=None)
    process(root, 21, "java", BASE, namespace="net:[2]")
    assert read_tomcats(root) == Tomcats((Tomcat(20, None, all_read=False),))


ON, OFF, UNSET = Tomcat(1, only_ipv4=True), Tomcat(1, only_ipv4=False), Tomcat(1)
CLOSED = Tomcat(1, all_read=False)


@pytest.mark.parametrize(
    ("tomcats", "settings", "status"),
    [
        (Tomcats(), {}, Status.OK),
        (Tomcats(hidden=True), {}, Status.UNKNOWN),
        (Tomcats((ON,)), {}, Status.OK),
        (Tomcats((ON,)), {"cluster": {"bind": OWN}}, Status.OK),
        (Tomcats((UNSET,)), {}, Status.WARNING),
        (Tomcats((UNSET,)), {"cluster": {}}, Status.OK),
        (Tomcats((UNSET,)), {"cluster": {"bind": OWN}}, Status.ERROR),
        (Tomcats((ON, OFF)), {"cluster": {"bind": OWN}}, Status.ERROR),
        (Tomcats((CLOSED,)), {"cluster": {"bind": OWN}}, Status.UNKNOWN),
        (Tomcats((ON,)), {"address": "ff02::4"}, Status.ERROR),
        (Tomcats((UNSET,)), {"address": "ff02::4"}, Status.OK),
    ],
)
def test_the_flag_and_the_group(tomcats: Tomcats, settings: dict[str, Any], status: Status) -> None:
    """It is needed with bind= on IPv4, and forbids IPv6."""
    assert jvm.judge(tomcats, subject(**settings)).status is status


@pytest.mark.parametrize(
    ("place", "status"),
    [
        (Place(), Status.OK),
        (Place(kinds={"tun0": "tun"}), Status.OK),
        (Place("Docker"), Status.OK),
        (Place("Docker", kinds={"eth0": "veth"}), Status.WARNING),
        (Place(cloud="Amazon EC2"), Status.WARNING),
        (Place("Kubernetes", "Azure or Hyper-V", {"eth0": "veth"}), Status.WARNING),
    ],
)
def test_the_place(place: Place, status: Status) -> None:
    """A container with a network of its own, and a cloud, may have no multicast."""
    assert container.judge(place).status is status


@pytest.mark.parametrize(
    ("file", "text", "container_is", "cloud"),
    [
        (".dockerenv", "", "Docker", ""),
        ("run/.containerenv", "", "Podman", ""),
        ("proc/1/cgroup", "0::/kubepods/burstable/pod1\n", "Kubernetes", ""),
        ("sys/class/dmi/id/sys_vendor", "Amazon EC2\n", "", "Amazon EC2"),
        ("sys/class/dmi/id/bios_vendor", "Google\n", "", "Google Cloud"),
        ("sys/class/dmi/id/sys_vendor", "LENOVO\n", "", ""),
    ],
)
def test_hints(tmp_path: Path, file: str, text: str, container_is: str, cloud: str) -> None:
    """Each hint is read where its maker leaves it."""
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    place = read_place(tmp_path, {})
    assert (place.container, place.cloud) == (container_is, cloud)
    assert read_place(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).container == "Kubernetes"
