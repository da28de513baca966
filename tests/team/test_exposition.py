"""Prometheus' text format, as its own parser reads it."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from addons.team.exposition import Counter, Histogram, gauge


def samples(lines):
    """Every sample, by its name and labels."""
    families = text_string_to_metric_families("\n".join(lines) + "\n")
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def test_a_counter_adds_up() -> None:
    counter = Counter("x_total", "What for.", "a", "b")
    counter.add(("1", "2"))
    counter.add(("1", "2"), 0.5)
    counter.add(("3", ""), 10**14)
    assert samples(counter.lines()) == {
        ("x_total", (("a", "1"), ("b", "2"))): 1.5,
        ("x_total", (("a", "3"), ("b", ""))): 10**14,
    }


@given(st.lists(st.floats(0, 100)))
def test_a_histogram_counts_what_is_up_to_its_bounds(values: list[float]) -> None:
    histogram = Histogram("h_seconds", "What for.", (0.5, 1, 10), "p")
    for value in values:
        histogram.observe(("x",), value)
    read = samples(histogram.lines())
    if not values:
        assert not read
        return
    for bound, text in ((0.5, "0.5"), (1, "1.0"), (10, "10.0"), (1000, "+Inf")):
        key = next(key for key in read if dict(key[1]).get("le") in (text, text.removesuffix(".0")))
        assert read[key] == sum(value <= bound for value in values)
    assert read["h_seconds_count", (("p", "x"),)] == len(values)
    assert abs(read["h_seconds_sum", (("p", "x"),)] - sum(values)) < 1e-6


@given(st.text(st.characters(codec="utf-8")))
def test_any_label_is_read_back(value: str) -> None:
    read = samples(gauge("g", "What for.", ["a"], [((value,), 1)]))
    assert read == {("g", (("a", value),)): 1}
