"""What is counted of requests, as Prometheus' own parser reads it; and that it stays small, whatever clients send."""

import json
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from addons.config.config import Config, Price, load
from addons.state.exchange import Exchange
from addons.state.result import compute
from addons.team.labels import MOST_USERS
from addons.team.metrics import Gauges, Metrics
from tests.exchanges import DROPPED, answered, exchange, failed, status, target

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

CONFIG = load(
    "providers:\n  a: {base_url: 'https://a.test', auth: none}\n  b: {base_url: 'https://b.test', auth: none}\n"
    "models:\n  one: a/m\n  two: b/m\n  x*: a/x*\n",
    {},
    filename="routing.yaml",
)
PRICE = Price(input=100, output=1000, cache_read=0, cache_write=0)


def read(metrics: Metrics, now: Gauges | None = None) -> Samples:
    """Every sample, by its name and labels."""
    families = text_string_to_metric_families(metrics.text(now or Gauges()))
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    """One sample; `from_` is the label `from`, `class_` the label `class`."""
    return found[f"gateway_{name}", frozenset((label.rstrip("_"), of) for label, of in labels.items())]


def request(*names: str, config: Config = CONFIG) -> Exchange:
    """A request with these targets (`a`: the model m of provider a, with a price)."""
    return exchange(*(target(name, fallback=place > 0, price=PRICE) for place, name in enumerate(names)), config=config)


def count(metrics: Metrics, made: Exchange, *, hung_up: bool = False) -> None:
    """It has ended."""
    metrics.count(made, compute(made), hung_up=hung_up)


def test_a_request_that_was_answered() -> None:
    metrics, made = Metrics(), request("a")
    made.client.caller = "alice"
    made.begin()
    answered(made, usage='{"input_tokens": 10, "output_tokens": 4, "cache_read_input_tokens": 7}')
    made.attempts[-1].first_event = made.started + 0.3
    count(metrics, made)
    count(metrics, made)
    found = read(metrics)
    assert value(found, "requests_total", provider="a", model="m", class_="main", outcome="ok") == 2
    assert value(found, "attempts_total", provider="a", outcome="ok") == 2
    assert value(found, "tokens_total", provider="a", model="m", type="input") == 20
    assert value(found, "tokens_total", provider="a", model="m", type="output") == 8
    assert value(found, "tokens_total", provider="a", model="m", type="cache_read") == 14
    assert value(found, "cost_usd_total", provider="a", model="m") == 2 * (10 * 100 + 4 * 1000) / 1e6
    assert value(found, "user_cost_usd_total", user="alice") == 2 * (10 * 100 + 4 * 1000) / 1e6
    assert value(found, "user_requests_total", user="alice") == 2
    assert value(found, "first_event_seconds_bucket", provider="a", le="0.5") == 2
    assert value(found, "first_event_seconds_bucket", provider="a", le="0.25") == 0
    assert value(found, "request_seconds_count", provider="a") == 2


def test_a_failover() -> None:
    metrics, made = Metrics(), request("a", "b")
    failed(made.begin(), status(429))
    failed(made.begin(), DROPPED)
    made.plan.cursor = 1
    made.begin()
    answered(made)
    count(metrics, made)
    found = read(metrics)
    assert value(found, "failovers_total", from_="a", to="b", reason="dropped") == 1
    assert value(found, "attempts_total", provider="a", outcome="status") == 1
    assert value(found, "attempts_total", provider="a", outcome="dropped") == 1
    assert value(found, "requests_total", provider="b", model="m", class_="main", outcome="ok") == 1


def test_what_did_not_go_well() -> None:
    metrics = Metrics()
    for code in (429, 418, 599):
        made = request("a", "b")
        failed(made.begin(), status(code))
        made.plan.cursor = 1
        failed(made.begin(), DROPPED)
        count(metrics, made)
    gone = request("a")
    gone.begin()
    count(metrics, gone, hung_up=True)
    count(metrics, request())
    found = read(metrics)
    for reason in ("429", "4xx", "5xx"):
        assert value(found, "failovers_total", from_="a", to="b", reason=reason) == 1
    assert value(found, "requests_total", provider="a", model="m", class_="main", outcome="hung_up") == 1
    assert value(found, "requests_total", provider="", model="", class_="main", outcome="ok") == 1


def test_gauges() -> None:
    now = Gauges(
        version="1",
        running=3,
        accounts={("anthropic", "usable"): 2},
        utilization={("claude:1", "5h"): 0.25},
        breakers=[("a", "m")],
        budgets={("alice", "day"): 1.5},
    )
    found = read(Metrics(clock=lambda: 12.0), now)
    assert value(found, "info", version="1") == 1
    assert value(found, "streams") == 3
    assert value(found, "pool_tokens", provider="anthropic", state="usable") == 2
    assert value(found, "pool_utilization", token="claude:1", window="5h") == 0.25
    assert value(found, "breaker_open", provider="a", model="m") == 1
    assert value(found, "user_budget_ratio", user="alice", period="day") == 1.5
    assert found["process_start_time_seconds", frozenset()] == 12


def test_ten_thousand_odd_names_are_one_label() -> None:
    metrics = Metrics()
    for number in range(10_000):
        made = request("a")
        made.plan.targets = [replace(made.plan.targets[0], model=f'odd "{number}"\\\n')]
        made.begin()
        answered(made)
        count(metrics, made)
    found = read(metrics)
    assert value(found, "requests_total", provider="a", model="other", class_="main", outcome="ok") == 10_000
    assert len(found) < 60


def test_users_have_an_end() -> None:
    metrics = Metrics()
    for number in range(MOST_USERS + 5):
        made = request()
        made.client.caller = f"u{number}"
        count(metrics, made)
    assert value(read(metrics), "user_requests_total", user="other") == 5


def test_what_several_processes_have_counted_is_summed_up() -> None:
    one, other, alone = Metrics(lambda: 20.0), Metrics(lambda: 10.0), Metrics(lambda: 10.0)
    for metrics in (one, other, other):
        made = request("a")
        made.begin()
        answered(made, usage='{"input_tokens": 10, "output_tokens": 4}')
        count(metrics, made)
        count(alone, made)
    total = Metrics(lambda: 30.0)
    for metrics in (one, other):
        total.add(json.loads(json.dumps(metrics.dump())))
    assert total.text(Gauges()) == alone.text(Gauges())
