"""The page as HTML: what is in it for whom, that nothing of it can do harm, and that it has an end.

page_tables.py and report.py are tested here too.
"""

import re

import pytest
from msgspec.structs import replace

from addons.team import page
from addons.team.report import BYS, By, Line, Report, Request, Running, User
from tests.team.reports import DAYS, NOW, T, full, sums
from tests.team.test_markup import Reader

NASTY = "\"><script>alert(1)</script>'&\u202e\x00"


def data(html: str, part: str) -> list[float]:
    """The exact numbers in one part of the page."""
    section = html.partition(f' id="{part}"')[2].partition("</section>")[0]
    return [float(number) for number in re.findall(r'<data value="([^"]+)"', section)]


def test_every_number_is_there() -> None:
    html = page.page(full())
    tiles = html.partition('class="tiles"')[2].partition("</div></div>")[0]
    assert [float(number) for number in re.findall(r'<data value="([^"]+)"', tiles)] == [1.3125, 1.8125, 14, 5600]
    assert data(html, "cost")[:3] == [1.8125, 1.75, 0.0625]
    assert data(html, "tokens")[0] == 7600
    users = data(html, "users")
    assert users[:7] == [12, 1200, 1200, 1200, 1200, 4800, 1.75]
    assert users[7:11] == [1.25, 10.0, 55, 100]
    assert data(html, "failovers") == [12, 2]
    assert data(html, "slowest") == [130.0]


def test_what_must_be_known_of_the_numbers_is_said() -> None:
    html = page.page(full())
    assert "3 answers were of a model without a known price" in html
    assert "One answer was not counted to the end" in html
    assert "days begin at midnight, UTC (UTC+0:00)" in html
    assert "The ledger is gone." in page.page(replace(full(), notes=["The ledger is gone."]))


def test_a_user_sees_no_accounts_and_nobody_else() -> None:
    report = replace(full("alice", sees_all=False, by="model"), lines=full().lines[:1], failed=())
    html = page.page(report)
    for part in ("users", "accounts", "providers", "failovers"):
        assert f'id="{part}"' not in html
    assert "by user" not in html
    assert "claude:1" not in html
    assert data(html, "budget") == [1.25, 10, 55, 100]
    assert "$8.75 left, new " in html


@pytest.mark.parametrize("by", BYS)
def test_charts_by_anything(by: By) -> None:
    html = page.page(full(by=by))
    assert '<span title="alice">alice</span>' in html
    assert f'href="?days=7&amp;by={by}" aria-current="true"' in html


def test_nothing_at_all_can_be_shown() -> None:
    html = page.page(Report(NOW, "", sees_all=True, days=DAYS))
    for words in ("Nobody has used the gateway yet.", "No request is running.", "None in the last 24 hours."):
        assert words in html
    assert "Sign out" not in html


def test_what_clients_and_providers_make_up_stays_text() -> None:
    report = replace(
        full(),
        lines=[Line(NASTY, [1.0] * 7, [1] * 7)] * 9,
        used={NASTY: sums(1, 1.0)},
        running=[Running(NASTY, NASTY, NASTY, NASTY, T, 1, "waiting")],
        failed=[Request(T, NASTY, NASTY, 502, NASTY, None, 0.4, 0, None)],
        users=[User(NASTY)],
        notes=[NASTY],
        viewer=NASTY,
    )
    for by in BYS:
        read = Reader(page.page(replace(report, by=by)))
        assert [name for name, _ in read.elements].count("script") == 1
        for _, attributes in read.elements:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert "\u202e" not in read.text


def test_nothing_comes_from_elsewhere() -> None:
    html = page.page(full())
    assert not re.search(r"https?://|url\(|@import|src=", html.partition("</head>")[2] + page.style())
    policy = page.security_policy()
    assert "unsafe" not in policy
    assert page.fingerprint(page.script()) in policy
    assert f"<style>{page.style()}</style>" in html
    assert f"<script>{page.script()}</script>" in html


def test_thousands_of_everything_make_no_endless_page() -> None:
    many = 3000
    report = replace(
        full(),
        lines=[Line(f"u{n}", [1.0] * 7, [1] * 7) for n in range(many)],
        used={f"u{n}": sums(1, 1.0) for n in range(many)},
        running=[Running("a", "x" * 5000, "b", "main", T, 1, "waiting")] * many,
        failed=[Request(T, "a", "b" * 5000, 502, "c" * 5000, None, 0.4, 0, None)] * many,
        failovers=[*full().failovers] * many,
        accounts=[*full().accounts] * many,
        health=[*full().health] * many,
    )
    html = page.page(report)
    assert len(html) < 400_000
    assert "2954 more aren" in html


def test_the_door() -> None:
    assert 'action="/gateway/login"' in page.door()
    assert "<script" not in page.door()
    assert 'role="alert"' not in page.door()
    assert "No &lt;way&gt;" in page.door("No <way>")
