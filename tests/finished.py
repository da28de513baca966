"""Requests that are over, as the ledger gets them, made with few words."""

from __future__ import annotations

from typing import Any

from addons.state.ledger_rows import AttemptRow, Finished, RequestRow

NOW = 1_790_000_000.0
"""Epoch seconds: 2026-09-21, 13:33:20 UTC."""

REQUEST = RequestRow(
    id="req_gw_1",
    time=NOW,
    session="s1",
    user="alice",
    request_class="main",
    asked_model="glm",
    provider="zai",
    model="glm-5",
    account="",
    status=200,
    attempts=1,
    fallback=False,
    input_tokens=100,
    output_tokens=10,
    cache_read_tokens=1000,
    cache_write_tokens=5,
    cache_write_1h_tokens=0,
    web_searches=0,
    fast=False,
    estimated=False,
    cost_usd=0.25,
    budget_usd=0.25,
    price_version="test 1",
    first_event_s=0.5,
    duration_s=2.0,
    error=None,
    line="alice · glm → zai/glm-5",
)


def finished(**fields: Any) -> Finished:
    """A request with one attempt; the fields are those of its row."""
    if "cost_usd" in fields:
        fields.setdefault("budget_usd", fields["cost_usd"] or 0.0)
    row = REQUEST._replace(**fields)
    return Finished(row, (attempt_of(row),))


def attempt_of(row: RequestRow, number: int = 1, **fields: Any) -> AttemptRow:
    """The attempt that has used all that the request has; the fields are the attempt's."""
    shared = {name: getattr(row, name) for name in AttemptRow._fields if name in RequestRow._fields}
    return AttemptRow(**{"request": row.id, "number": number, "outcome": "", **shared, **fields})
