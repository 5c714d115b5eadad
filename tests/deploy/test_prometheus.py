"""The scrape configuration: Prometheus' own tool accepts it, and it asks where the probe answers."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from probe.config import Settings

CONFIG = Path(__file__).parents[2] / "deploy" / "prometheus" / "prometheus.yml"
SWITCHED_OFF = re.compile(r"^( *)#(?=[a-z_]+:)", re.MULTILINE)


@pytest.mark.promtool
@pytest.mark.parametrize("everything", [False, True], ids=["as it stands", "with TLS and a password"])
def test_promtool_accepts_it(tmp_path: Path, everything: bool) -> None:  # noqa: FBT001
    """The file is accepted by promtool, also with what is switched off in it."""
    text = CONFIG.read_text()
    copy = tmp_path / "prometheus.yml"
    copy.write_text(SWITCHED_OFF.sub(r"\1", text) if everything else text)
    checked = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", copy], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_asks_where_the_probe_answers() -> None:
    """Targets have the default port, the path is the default one, and instances are short names."""
    (job,) = yaml.safe_load(CONFIG.read_text())["scrape_configs"]
    targets = [target for each in job["static_configs"] for target in each["targets"]]
    assert {":" + target.rpartition(":")[2] for target in targets} == set(Settings().web.listen_addresses)
    assert job.get("metrics_path", "/metrics") == Settings().web.telemetry_path
    (rule,) = job["relabel_configs"]
    assert [re.fullmatch(rule["regex"], target)[1] for target in targets] == ["tomcat1", "tomcat2"]  # type: ignore[index]
