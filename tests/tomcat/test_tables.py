"""The tables of classes and attributes are what each branch's own classes are."""

from pathlib import Path

import pytest
from support import tomcat

from probe.tomcat.release import parse_release
from probe.tomcat.tables import OPEN, attributes, classes

pytestmark = [pytest.mark.tomcat, pytest.mark.slow]

RELEASES = {
    "6.0": "6.0.53",
    "7.0": "7.0.109",
    "8.5": "8.5.90",
    "9.0": "9.0.113",
    "10.1": "10.1.56",
    "11.0": "11.0.21",
}


@pytest.mark.parametrize("branch", RELEASES)
def test_a_branch_has_what_its_table_says(branch: str, tmp_path: Path) -> None:
    """Of each class: whether it is there, and exactly the attributes that can be set on it."""
    release = parse_release(RELEASES[branch])
    with tomcat.setters(branch, tmp_path / "log") as real:
        for name, known in classes().items():
            setters = real.ask(name)
            assert known.is_in(release) == (setters != "absent"), name
            table = {one.name for one in attributes(name).values() if one.is_in(release)}
            if table and setters != "absent" and name not in OPEN:
                assert table == set(setters.strip("[]").split(", ")), name
