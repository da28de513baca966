"""Jobs that are done at the same time: check.py."""

from __future__ import annotations

import threading

from addons.commands.checks.check import together


def test_results_come_under_their_names_and_what_is_late_is_left_behind() -> None:
    over = threading.Event()
    both = threading.Barrier(2)
    jobs = {"one": lambda: f"1{both.wait() * 0}", "two": lambda: f"2{both.wait() * 0}"}
    assert together(jobs, lambda name: f"{name} late", 60) == {"one": "10", "two": "20"}
    slow = {"slow": lambda: str(over.wait())}
    assert together(slow, lambda name: f"{name} is late", 0.05) == {"slow": "slow is late"}
    over.set()
