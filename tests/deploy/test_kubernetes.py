"""The manifests: settings that load, probes that are answered, a container that may do nothing."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer
from support.command import parsed

from probe.config import Settings, load
from probe.daemon import Daemon

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
MANIFESTS = sorted(KUBERNETES.glob("*.yaml"))
CONTAINER = "tribes-probe"


def objects(manifest: Path) -> dict[str, Any]:
    """Return the objects of a file by their kind."""
    return {each["kind"]: each for each in yaml.safe_load_all(manifest.read_text())}


def pod(manifest: Path) -> Any:
    """Return the specification of the pods that a file makes."""
    (found,) = (each["spec"]["template"]["spec"] for each in objects(manifest).values() if "spec" in each)
    return found


def container(manifest: Path) -> Any:
    """Return the probe's container."""
    (found,) = (each for each in pod(manifest)["containers"] if each["name"] == CONTAINER)
    return found


@pytest.fixture(name="manifest", params=MANIFESTS, ids=lambda path: path.stem)
def _manifest(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_both_ways_are_there() -> None:
    """There is a probe beside a Tomcat and one on every node."""
    assert [path.stem for path in MANIFESTS] == ["daemonset", "sidecar"]


def test_its_settings_load(manifest: Path, tmp_path: Path) -> None:
    """The file in the ConfigMap is one that the probe accepts, and is found where the command looks for it."""
    (name, text), *others = objects(manifest)["ConfigMap"]["data"].items()
    (tmp_path / name).write_text(text)
    assert load(tmp_path / name).log.format == "json"
    assert not others
    mount = next(each for each in container(manifest)["volumeMounts"] if each["name"] == CONTAINER)
    volume = next(each for each in pod(manifest)["volumes"] if each["name"] == CONTAINER)
    assert volume["configMap"]["name"] == objects(manifest)["ConfigMap"]["metadata"]["name"]
    command, *flags = container(manifest)["args"]
    assert command == "run"
    assert parsed(command, flags)["config_file"] == Path(mount["mountPath"]) / name


async def test_its_probes_are_answered(manifest: Path) -> None:
    """Each probe asks the port that the settings open, for a path that the web server has."""
    probes = {key: each["httpGet"] for key, each in container(manifest).items() if key.endswith("Probe")}
    assert probes.keys() >= {"livenessProbe", "readinessProbe"}
    assert probes["livenessProbe"]["path"] == "/-/healthy"
    (port,) = container(manifest)["ports"]
    assert Settings().web.listen_addresses == (f":{port['containerPort']}",)
    daemon = Daemon(Settings(groups=()))
    with contextlib.closing(daemon._notifier):
        server = TestServer(daemon._web._app())
    async with TestClient(server) as client:
        for asked in probes.values():
            assert asked["port"] == port["name"]
            assert (await client.get(asked["path"])).status == 200


def test_it_may_do_nothing(manifest: Path) -> None:
    """The container is nobody, writes nothing, has no capability, and is bounded."""
    spec = container(manifest)
    security = spec["securityContext"]
    assert security["runAsNonRoot"]
    assert security["readOnlyRootFilesystem"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["resources"]["requests"].keys() == {"cpu", "memory"}
    assert spec["resources"]["limits"].keys() == {"memory"}
    assert pod(manifest)["automountServiceAccountToken"] is False


def test_selectors_match_what_they_make(manifest: Path) -> None:
    """The labels that are selected are those of the pods."""
    (spec,) = (each["spec"] for each in objects(manifest).values() if "spec" in each)
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_the_node_is_heard_on_its_own_network() -> None:
    """The DaemonSet is on the host's network, the sidecar on its pod's; only the first may be not ready."""
    daemonset, sidecar = MANIFESTS
    assert pod(daemonset)["hostNetwork"]
    assert "hostNetwork" not in pod(sidecar)
    assert container(daemonset)["readinessProbe"]["httpGet"]["path"] == "/-/ready"
    assert container(sidecar)["readinessProbe"]["httpGet"]["path"] == "/-/healthy"
