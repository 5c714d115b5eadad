"""What is told of each scene, a row each, printed at the end of the run."""

from typing import Final

import pytest

HEAD: Final = ("what happened", "what her users see", "tribes-probe says")


class Table:
    """Rows in the order they are told."""

    def __init__(self) -> None:
        self.rows = [HEAD]

    def tell(self, happened: str, seen: str, said: str) -> None:
        """Add a row."""
        self.rows.append((happened, seen, said))


TABLE: Final = pytest.StashKey[Table]()
