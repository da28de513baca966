"""The page `/gateway/` as HTML: whole, as the part that changes, and the door where one signs in.

Rules that hold here: pure, a `Report` in and text out; everything goes through `tag`, which escapes; no address of
another host, no style attribute, no script but the one whose hash the content security policy names; without a script
everything can be read.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from html import escape
from pathlib import Path
from typing import Final

from addons.state.usage import Sums
from addons.team import figures
from addons.team.chart import Series, bars, colour, largest, spark
from addons.team.markup import Child, Markup, joined, tag
from addons.team.page_tables import budgets, health, requests, running, user_table
from addons.team.report import BYS, SPANS, Report, total

HERE: Final = Path(__file__).parent
TITLE: Final = "Gateway"


@cache
def style() -> str:
    """The page's style sheet."""
    return (HERE / "page.css").read_text(encoding="utf-8")


@cache
def script() -> str:
    """The page's script."""
    return (HERE / "page.js").read_text(encoding="utf-8")


@cache
def security_policy() -> str:
    """What a browser may do with the page: its own style and script, questions to this gateway, and nothing else."""
    return (
        f"default-src 'none'; style-src '{fingerprint(style())}'; script-src '{fingerprint(script())}'; "
        "connect-src 'self'; form-action 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    )


def fingerprint(text: str) -> str:
    """By which a policy names a style or a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def document(*body: Child, title: str = TITLE, scripted: bool = False) -> str:
    """A whole HTML document."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="robots", content="noindex"),
        tag("title", title),
        tag("link", rel="icon", href=ICON),
        tag("style", Markup(style())),
    )
    end = tag("script", Markup(script())) if scripted else None
    return f"<!doctype html>\n{tag('html', head, tag('body', *body, end), lang='en')}\n"


ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 22 22'%3E%3Cpath fill='%23b4532a' "
    "d='M2 5h8l4 6-4 6H2l4-6z'/%3E%3Cpath fill='%23888' d='M12 5h3l5 6-5 6h-3l4-6z'/%3E%3C/svg%3E"
)


def mark() -> Markup:
    """The sign beside the title."""
    return tag(
        "svg",
        tag("path", class_="a", d="M2 5h8l4 6-4 6H2l4-6z"),
        tag("path", class_="b", d="M12 5h3l5 6-5 6h-3l4-6z"),
        viewBox="0 0 22 22",
        aria_hidden="true",
    )


def door(refused: str = "") -> str:
    """Where one signs in; `refused`: why the last try was of no use."""
    form = tag(
        "form",
        tag("h1", mark(), TITLE),
        tag("p", "Sign in with the key that you use this gateway with: your own, or the administrator's."),
        tag("p", refused, class_="error", role="alert") if refused else None,
        tag(
            "label",
            "Key",
            tag(
                "input",
                type="password",
                name="key",
                required=True,
                autofocus=True,
                autocomplete="current-password",
                placeholder="gw-…",
                spellcheck="false",
                maxlength=512,
            ),
        ),
        tag("button", "Sign in", type="submit"),
        method="post",
        action="/gateway/login",
    )
    return document(tag("div", form, class_="door"), title=f"Sign in · {TITLE}")


def page(report: Report) -> str:
    """The whole page."""
    body = tag("div", header(report), tag("main", content(report)), class_="page")
    return document(body, scripted=True)


def header(report: Report) -> Markup:
    """Title, whether it is kept up to date, who looks."""
    who: Child = None
    if report.viewer:
        way_out = tag("form", tag("button", "Sign out", type="submit"), method="post", action="/gateway/logout")
        who = tag("div", tag("span", tag("b", report.viewer)), way_out, class_="who")
    elif report.users:
        who = tag("div", "the gate is open", tag("a", "Sign in", href="/gateway/login"), class_="who")
    live = tag("span", tag("i"), tag("span", "live"), class_="live push", role="status")
    return tag("header", tag("h1", mark(), TITLE), live, who)


def content(report: Report) -> Markup:
    """What changes: everything below the header."""
    return joined(
        [
            [tag("p", note, class_="note") for note in report.notes],
            tiles(report),
            choices(report),
            charts(report),
            budgets(report),
            user_table(report) if report.sees_all else None,
            running(report),
            health(report) if report.sees_all else None,
            requests(report),
            foot(report),
        ]
    )


# Numbers at the top


def tiles(report: Report) -> Markup:
    """The numbers that one looks at first."""
    days = report.totals
    today = days[-1] if days else Sums()
    whole = total(report)
    lately = [one.cost_usd or 0.0 for one in days[-14:]]
    before = days[-2].cost_usd if len(days) > 1 else 0.0
    read = whole.cache_read_tokens
    into = whole.input_tokens + whole.cache_write_tokens + read
    span = len(report.days)
    return tag(
        "div",
        tile(
            "Cost today",
            value(cost_of(today), figures.money),
            f"yesterday {figures.money(before)}",
            spark(lately, label=f"Cost of the last {len(lately)} days"),
        ),
        tile(
            f"Cost, {span} days",
            value(cost_of(whole), figures.money),
            f"{figures.money(whole.cost_usd / span)} a day" if whole.cost_usd else "",
            spark(running_sum([one.cost_usd or 0.0 for one in days]), label=f"Cost summed up over {span} days"),
        ),
        tile(
            "Requests today",
            value(today.requests, figures.count),
            f"{figures.count(whole.requests)} in {span} days",
            spark([one.requests for one in days[-14:]], label="Requests a day"),
        ),
        tile(
            "Tokens today",
            value(today.total_tokens, figures.short),
            f"{figures.short(whole.total_tokens)} in {span} days",
            spark([one.total_tokens for one in days[-14:]], label="Tokens a day"),
        ),
        tile("Read from caches", figures.share(read, into), f"of {figures.short(into)} input tokens"),
        tile(
            "Answered",
            figures.share(whole.requests - whole.failed, whole.requests),
            f"{figures.count(whole.failed)} of {figures.count(whole.requests)} failed",
        ),
        class_="tiles",
    )


def cost_of(sums: Sums) -> float | None:
    """What is known of a cost: nothing was asked, so nothing was spent."""
    return sums.cost_usd if sums.requests or sums.cost_usd else 0.0


def tile(name: str, figure: Child, more: str, line: Child = None) -> Markup:
    return tag("div", tag("h2", name), tag("p", figure, class_="figure"), tag("p", more), line, class_="tile")


def value(exact: float | None, shown: Callable[[float], str]) -> Markup:
    """A number as people read it, and the exact one for machines."""
    if exact is None:
        return tag("span", figures.UNKNOWN, title="no price is known")
    return tag("data", shown(exact), value=repr(exact))


def running_sum(values: Sequence[float]) -> list[float]:
    """Each value with all before it."""
    summed, out = 0.0, []
    for one in values:
        summed += one
        out.append(summed)
    return out


# Charts


def choices(report: Report) -> Markup:
    """Links that choose how many days the charts show, and by what."""
    span = len(report.days)
    bys = [by for by in BYS if by != "user" or report.sees_all]
    return tag(
        "nav",
        tag(
            "span",
            [
                tag("a", f"{days} days", href=address(days, report.by), aria_current="true" if days == span else None)
                for days in SPANS
            ],
            class_="choice",
        ),
        tag(
            "span",
            [
                tag("a", f"by {by}", href=address(span, by), aria_current="true" if by == report.by else None)
                for by in bys
            ],
            class_="choice",
        ),
        class_="bar",
        aria_label="What the charts show",
    )


def address(days: int, by: str) -> str:
    return f"?days={days}&by={by}"


def charts(report: Report) -> Markup:
    """Cost and tokens a day."""
    ranked = sorted(report.lines, key=lambda line: (-sum(line.cost), -sum(line.tokens), line.name))
    cost = largest([Series(line.name, line.cost) for line in ranked])
    tokens = largest([Series(line.name, line.tokens) for line in ranked])
    return tag(
        "div",
        chart("Cost a day", report, cost, figures.money, figures.money_on_axis, "cost"),
        chart("Tokens a day", report, tokens, figures.short, figures.on_axis, "tokens"),
        class_="two",
    )


def chart(
    title: str,
    report: Report,
    series: list[Series],
    shown: Callable[[float], str],
    tick: Callable[[float], str],
    name: str,
) -> Markup:
    """A chart with its legend, and its numbers as a table."""
    whole = sum(one.total for one in series)
    head = tag("div", tag("h2", title), tag("p", value(whole, shown)), class_="head")
    if not whole:
        return tag("section", head, tag("p", "Nothing yet in these days.", class_="nothing"), class_="chart", id=name)
    legend = [
        tag(
            "li",
            tag("i", class_=colour(place, one)),
            tag("span", one.name, title=one.name),
            value(one.total, shown),
        )
        for place, one in enumerate(series)
        if one.total
    ]
    return tag(
        "section",
        head,
        bars(report.days, series, tick, shown, label=f"{title} by {report.by}, the last {len(report.days)} days"),
        tag("ul", legend, class_="legend"),
        numbers(report, series, shown, name),
        class_="chart",
        id=name,
    )


def numbers(report: Report, series: Sequence[Series], shown: Callable[[float], str], name: str) -> Markup:
    """The chart's numbers, for whoever can't see it or wants them exactly."""
    head = tag(
        "tr", tag("th", "Day"), [tag("th", one.name, class_="n") for one in series], tag("th", "All", class_="n")
    )
    rows = []
    for place, day in reversed(list(enumerate(report.days))):
        values = [one.values[place] for one in series]
        if any(values):
            cells = [number_cell(one, shown) for one in [*values, sum(values)]]
            rows.append(tag("tr", tag("td", f"{day:%Y-%m-%d}", class_="nowrap"), cells))
    table = tag("table", tag("thead", head), tag("tbody", rows))
    return tag(
        "details",
        tag("summary", "Numbers"),
        tag("div", table, class_="scroll", data_of=name),
        id=f"{name}-numbers",
    )


def number_cell(exact: float, shown: Callable[[float], str]) -> Markup:
    """A number in a table of many; `tag` would take its time."""
    if not exact:
        return NO_NUMBER
    return Markup(f'<td class="n"><data value="{exact!r}">{escape(shown(exact))}</data></td>')


NO_NUMBER: Final = Markup('<td class="n"></td>')


def foot(report: Report) -> Markup:
    """What must be known to read the numbers."""
    whole = total(report)
    lines = [f"{report.now:%Y-%m-%d %H:%M:%S} · days begin at midnight, {zone(report.now)}"]
    if whole.unpriced:
        lines.append(f"{answers(whole.unpriced)} of a model without a known price: their cost isn't in these sums.")
    if whole.estimated:
        lines.append(
            f"{answers(whole.estimated)} not counted to the end by their provider: their usage is, in part, estimated."
        )
    return tag("footer", [tag("p", line) for line in lines])


def answers(number: int) -> str:
    """`one answer was`, `3 answers were`."""
    return "One answer was" if number == 1 else f"{figures.count(number)} answers were"


def zone(now: datetime) -> str:
    """The name of the zone in which days begin, and how far it is from UTC."""
    away = now.utcoffset() or timedelta()
    minutes = round(away.total_seconds() / 60)
    return f"{now.tzname() or ''} (UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60}:{abs(minutes) % 60:02})"
