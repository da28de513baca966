"""What the comparison of one worker with several says."""

from __future__ import annotations

from tests.bench.workers import Seen, lines


def test_what_is_said_of_requests() -> None:
    one = Seen(done=1000, rate=250, gateway=4.0, generator=1.0, provider=0.0)
    two = Seen(done=1600, rate=400, gateway=6.4, generator=1.6, provider=0.0, errors=1)
    said = list(lines("2 KB × 32", {1: [one], 2: [two, two, two]}, cores=2))
    assert said == [
        "2 KB × 32, 1 worker :      250 requests/s (CPU ms each: gateway 4.00, load generator 1.00, provider 0.00)",
        "2 KB × 32, 2 workers:      400 requests/s (CPU ms each: gateway 4.00, load generator 1.00, provider 0.00), "
        "1.60 times one worker's; room for 1.60, 3 ERRORS",
    ]


def test_what_is_said_of_streams() -> None:
    one = Seen(done=1000, rate=250, gateway=0.1, generator=0.1, provider=0.0, delay=12.4, starved=2)
    (said,) = lines("200 streams", {1: [one]}, cores=2)
    assert said.endswith("), 99 % within 12 ms, 2 starved")
