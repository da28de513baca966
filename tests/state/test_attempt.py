"""An attempt that is not made, and a failure in a few words."""

from __future__ import annotations

import pytest

from addons.state.attempt import Outcome, describe
from tests.exchanges import exchange, failure, status, targets


def test_a_target_that_is_skipped() -> None:
    attempt = exchange(*targets("zai")).begin()
    error = status(403, "no key").error
    attempt.skip(error)
    assert attempt.outcome == Outcome("skipped", error, complete=True)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (status(529, "overloaded"), "529 (overloaded)"),
        (failure("error event", 500, "oops"), "500 (oops)"),
        (failure("connect", words="refused"), "connect (refused)"),
        (status(500, "x" * 119), f"500 ({'x' * 119})"),
        (status(500, "x" * 120), f"500 ({'x' * 117}…)"),
    ],
)
def test_a_failure_in_a_few_words(outcome: Outcome, words: str) -> None:
    assert describe(outcome) == words
