"""The stage of the story, and its table at the end of the run."""

from collections.abc import Iterator

import pytest
from story.shop import Shop
from story.table import TABLE, Table


@pytest.fixture(scope="module", name="shop")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture(name="table")
def _table(pytestconfig: pytest.Config) -> Table:
    return pytestconfig.stash.setdefault(TABLE, Table())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was told."""
    table = terminalreporter.config.stash.get(TABLE, None)
    if table is not None:
        terminalreporter.section("the first hour")
        for row in table.rows:
            terminalreporter.write_line(f"| {' | '.join(row)} |")
