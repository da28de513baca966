"""The benchmark of the translator, once with next to nothing to do."""

from tests.bench.translate import chunk_times, request_times, row
from tests.wire.chat.dialects import DIALECTS, Said


def test_it_measures_every_chunk():
    dialect = DIALECTS["openai"]
    times = chunk_times(dialect, streams=2)
    assert len(times) > 2 * len(dialect.events(Said("Hello")))
    assert all(seconds > 0 for seconds in times)


def test_it_measures_requests():
    assert len(request_times(2000, rounds=3)) == 3


def test_a_row():
    assert row("openai", [1e-6, 2e-6, 3e-6]) == "openai                     2.00     3.96"
