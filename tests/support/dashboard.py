"""The dashboard's queries, as Grafana would ask them."""

import json
from typing import Any, Final

from support.prometheus import DEPLOY

FOLDER: Final = DEPLOY / "grafana"
TEXT: Final = (FOLDER / "dashboard.json").read_text()
BOARD: Final[dict[str, Any]] = json.loads(TEXT)
PANELS: Final[list[dict[str, Any]]] = BOARD["panels"]
QUERIES: Final = {
    **{f"{panel['title']}, {each['refId']}": each["expr"] for panel in PANELS for each in panel["targets"]},
    **{f"events: {each['name']}": each["expr"] for each in BOARD["annotations"]["list"]},
}


def filled(query: str) -> str:
    """Fill in what Grafana would: everything is chosen, and a range of several scrapes."""
    query = query.replace("$cluster", ".*").replace("$group", ".*")
    return query.replace("$__rate_interval", "10s").replace("$__interval", "30s")
