"""Two requests side by side as a page in mitmweb: who answered, how fast, with how many tokens, at what cost, and what.

Rules that hold here: those of team/page.py, whose look it has: pure, everything goes through `tag`.
"""

from __future__ import annotations

from typing import Final

from addons.team.markup import Markup, tag
from addons.team.page import TITLE, document
from addons.team.pool_page import top
from addons.views.compare import Comparison, Row, Side

LONGEST_ANSWER: Final = 100_000
"""Characters of an answer that are shown."""


def comparison_page(comparison: Comparison) -> str:
    """The whole page."""
    left, right = comparison.left, comparison.right
    said = None
    if not comparison.same_question:
        said = tag("p", "Two different questions: the times and costs can't be compared as they stand.", class_="note")
    numbers = tag(
        "section",
        tag(
            "table",
            tag("thead", tag("tr", tag("th"), tag("th", name(left)), tag("th", name(right)))),
            tag("tbody", [line(row) for row in comparison.rows]),
        ),
        class_="compared",
        id="numbers",
    )
    answers = tag("div", answer(left, "left"), answer(right, "right"), class_="two apart")
    question = None
    if comparison.same_question:
        question = tag("section", tag("h2", "Question"), tag("p", left.question, class_="said"), id="question")
    main = tag("main", said, numbers, question, answers)
    return document(tag("div", top("Side by side"), main, class_="page"), title=f"Side by side · {TITLE}")


def error_page(words: str) -> str:
    """Why two requests can't be compared."""
    main = tag("main", tag("p", words, class_="note"))
    return document(tag("div", top("Side by side"), main, class_="page"), title=f"Side by side · {TITLE}")


def name(side: Side) -> str:
    """By which a side is called."""
    return side.summary.answered_by or side.summary.asked or f"{side.summary.method} {side.summary.path}"


def line(row: Row) -> Markup:
    """One row; the better value stands out."""
    cells = [
        tag("td", tag("span", value, class_="badge fine") if row.better == place and value else value)
        for place, value in (("left", row.left), ("right", row.right))
    ]
    return tag("tr", tag("th", row.name.capitalize(), scope="row"), cells)


def answer(side: Side, place: str) -> Markup:
    """What the client got."""
    text = side.answer
    if len(text) > LONGEST_ANSWER:
        text = f"{text[:LONGEST_ANSWER]}…\n(the rest is in the view Answer)"
    return tag("section", tag("h2", name(side)), tag("pre", text or "nothing", class_="said"), id=place)
