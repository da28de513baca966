"""Context windows: which targets a request surely doesn't fit into, and which one to ask after an overflow.

Rules that hold here: pure; a window that nobody has told is no reason to leave a target out, nor to try it.
"""

from __future__ import annotations

from collections.abc import Sequence

from addons.config.config import Target
from addons.state.request_facts import RequestFacts
from addons.wire.refusals import overflow_message


def too_small(target: Target, facts: RequestFacts) -> str:
    """Why the request surely doesn't fit into this target; empty when it may."""
    window = target.context_window
    if window is None or not facts.surely_exceeds(window):
        return ""
    return f"about {facts.tokens} tokens don't fit into {window}"


def told_too_long(targets: Sequence[Target], facts: RequestFacts) -> str:
    """What a client is told when no target is large enough, so that it compacts the conversation."""
    return overflow_message(facts.tokens, max(target.context_window or 0 for target in targets))


def larger(targets: Sequence[Target], after: int, limit: int | None, facts: RequestFacts | None) -> int | None:
    """The index of the next target that can take what the one at index `after` could not. `limit`: how many tokens that
    takes, as it said itself. None when there is no such target."""
    known = targets[after].context_window
    window = max(filter(None, (limit, known)), default=None)
    for index in range(after + 1, len(targets)):
        candidate = targets[index].context_window
        if candidate is None or (facts is not None and too_small(targets[index], facts)):
            continue
        if window is None or candidate > window:
            return index
    return None
