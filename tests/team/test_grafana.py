"""The dashboard for Grafana: every panel asks for metrics that there are, and none covers another."""

import json
import re

from addons.team.exposition import Counter, Histogram
from addons.team.grafana import WIDTH, dashboard
from addons.team.metrics import Gauges, Metrics


def test_it_asks_only_for_what_there_is() -> None:
    metrics = Metrics()
    text = metrics.text(Gauges())
    known = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    labels = {label for one in vars(metrics).values() if isinstance(one, Counter | Histogram) for label in one.labels}
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            names = re.findall(r"gateway_\w+", target["expr"])
            assert names
            assert {name.removesuffix("_bucket") for name in names} <= known, target
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= {
                *labels,
                "token",
                "window",
                "state",
                "period",
            }


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    panels = dashboard()["panels"]
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= WIDTH
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert json.loads(json.dumps(dashboard()))["title"]
