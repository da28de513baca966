"""A dashboard for Grafana over the gateway's metrics, ready to be imported. Pure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

WIDTH: Final = 24
"""Columns of Grafana's grid."""

SOURCE: Final = {"type": "prometheus", "uid": "${DS}"}
"""The data source that is chosen when the dashboard is imported."""
INPUT: Final = {
    "name": "DS",
    "label": "Prometheus",
    "type": "datasource",
    "pluginId": "prometheus",
    "pluginName": "Prometheus",
}

Json = dict[str, Any]


class Panel(NamedTuple):
    """A panel: one large number (`stat`), lines over time (`lines`), or areas one on top of the other (`areas`)."""

    kind: str
    title: str
    unit: str
    queries: dict[str, str]
    """What is asked of Prometheus, by its legend."""


def quantiles(name: str) -> dict[str, str]:
    """The median and the 95th percentile of a histogram, by provider."""
    rate = f"sum by (le, provider) (rate({name}_bucket[5m]))"
    return {
        f"{{{{provider}}}} {called}": f"histogram_quantile({part}, {rate})"
        for part, called in ((0.5, "median"), (0.95, "95 %"))
    }


DAY_OK: Final = 'sum(increase(gateway_requests_total{outcome="ok"}[24h]))'
FAILED: Final = '60 * sum by (provider, outcome) (rate(gateway_attempts_total{outcome!="ok"}[5m]))'
MODEL_COST: Final = "sum by (provider, model) (increase(gateway_cost_usd_total[1h]))"
USER_COST: Final = "sum by (user) (increase(gateway_user_cost_usd_total[1h]))"
FAILOVERS: Final = "sum by (from, to, reason) (increase(gateway_failovers_total[1h]))"

ROWS: Final = (
    (
        4,
        Panel("stat", "Cost, 24 h", "currencyUSD", {"": "sum(increase(gateway_cost_usd_total[24h]))"}),
        Panel("stat", "Requests, 24 h", "short", {"": "sum(increase(gateway_requests_total[24h]))"}),
        Panel("stat", "Tokens, 24 h", "short", {"": "sum(increase(gateway_tokens_total[24h]))"}),
        Panel(
            "stat",
            "Answered, 24 h",
            "percentunit",
            {"": f"{DAY_OK} / sum(increase(gateway_requests_total[24h]))"},
        ),
        Panel("stat", "Running", "short", {"": "sum(gateway_streams)"}),
        Panel("stat", "Accounts usable", "short", {"": 'sum(gateway_pool_tokens{state="usable"})'}),
    ),
    (
        8,
        Panel("areas", "Cost an hour by user", "currencyUSD", {"{{user}}": USER_COST}),
        Panel("areas", "Cost an hour by model", "currencyUSD", {"{{provider}}/{{model}}": MODEL_COST}),
    ),
    (
        8,
        Panel("areas", "Tokens a second", "short", {"{{type}}": "sum by (type) (rate(gateway_tokens_total[5m]))"}),
        Panel(
            "areas",
            "Requests a second",
            "reqps",
            {"{{outcome}}": "sum by (outcome) (rate(gateway_requests_total[5m]))"},
        ),
    ),
    (
        8,
        Panel("lines", "Time to the first event", "s", quantiles("gateway_first_event_seconds")),
        Panel("lines", "Time to the whole answer", "s", quantiles("gateway_request_seconds")),
    ),
    (
        8,
        Panel("lines", "Failed attempts a minute", "short", {"{{provider}} {{outcome}}": FAILED}),
        Panel("lines", "Failovers an hour", "short", {"{{from}} → {{to}} ({{reason}})": FAILOVERS}),
        Panel("lines", "Asked last", "short", {"{{provider}}/{{model}}": "gateway_breaker_open"}),
    ),
    (
        8,
        Panel("lines", "How full accounts are", "percentunit", {"{{token}} {{window}}": "gateway_pool_utilization"}),
        Panel("areas", "Accounts by state", "short", {"{{state}}": "sum by (state) (gateway_pool_tokens)"}),
        Panel("lines", "Budgets used", "percentunit", {"{{user}} {{period}}": "gateway_user_budget_ratio"}),
    ),
)
"""The height of each row, and its panels from left to right."""


def dashboard() -> Json:
    """The whole dashboard."""
    panels: list[Json] = []
    top = 0
    for height, *row in ROWS:
        width = WIDTH // len(row)
        for place, panel in enumerate(row):
            at = {"x": place * width, "y": top, "w": width, "h": height}
            panels.append({"id": len(panels) + 1, "gridPos": at, **drawn(panel)})
        top += height
    return {
        "__inputs": [INPUT],
        "__requires": [{"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"}],
        "uid": "claude-gateway",
        "title": "Gateway for Claude Code",
        "tags": ["claude-code"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "panels": panels,
    }


def drawn(panel: Panel) -> Json:
    """A panel as Grafana has it."""
    targets = [
        {"refId": chr(65 + place), "datasource": SOURCE, "expr": expression, "legendFormat": legend or "__auto"}
        for place, (legend, expression) in enumerate(panel.queries.items())
    ]
    defaults: Json = {"unit": panel.unit}
    options: Json = {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "none"}
    if panel.kind != "stat":
        options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
        stacked = {"fillOpacity": 30, "stacking": {"mode": "normal"}}
        defaults["custom"] = stacked if panel.kind == "areas" else {"fillOpacity": 0}
    return {
        "type": "stat" if panel.kind == "stat" else "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }
