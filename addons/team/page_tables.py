"""The parts of the page that are tables and cards: budgets, users, what runs, accounts, health, requests.

Rules that hold here: those of page.py; every table has an end, whatever there is to show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from addons.state.usage import Sums
from addons.team import figures
from addons.team.chart import meter
from addons.team.markup import Child, Markup, tag
from addons.team.report import Account, Avoided, Budget, Health, Report, Request, Running, User

MOST_ROWS: Final = 50
LONGEST_TEXT: Final = 300


def table(name: str, head: Sequence[tuple[str, str]], rows: Sequence[Markup], foot: Child = None) -> Markup:
    """A table; `head` has the names and classes of its columns. One that is too wide can be moved by itself."""
    top = tag("thead", tag("tr", [tag("th", text, class_=class_ or None) for text, class_ in head]))
    return tag("div", tag("table", top, tag("tbody", rows), foot), class_="scroll", data_of=name)


def section(title: str, *content: Child, more: Child = None, name: str) -> Markup:
    """A card of the page."""
    return tag(
        "section", tag("div", tag("h2", title), tag("p", more) if more else None, class_="head"), *content, id=name
    )


def nothing(*words: Child) -> Markup:
    return tag("p", *words, class_="nothing")


def cut(text: str) -> str:
    """A text with an end."""
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def exact(value: float, shown: str) -> Markup:
    """A number as people read it, and the exact one for machines."""
    return tag("data", shown, value=repr(value))


def money(sums: Sums) -> Child:
    """A cost, with a mark where some answers have no known price."""
    if sums.cost_usd is None:
        return tag("span", figures.UNKNOWN, title="no price is known") if sums.requests else figures.money(0)
    more = tag("span", "+", title=f"{sums.unpriced} answers have no known price") if sums.unpriced else None
    return [exact(sums.cost_usd, figures.money(sums.cost_usd)), more]


def moment(at: float, report: Report) -> Markup:
    """A time of day in the report's zone, exact for machines."""
    there = datetime.fromtimestamp(at, report.now.tzinfo)
    iso = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return tag("time", figures.moment(there, report.now), datetime=iso)


# Budgets and users


def budgets(report: Report) -> Markup | None:
    """How much of their budget is left to a user who looks."""
    own = next((user for user in report.users if user.name == report.viewer), None)
    if report.sees_all or own is None or not own.budgets:
        return None
    gauges = [gauge(budget, report, wide=True) for budget in own.budgets]
    return section(
        "Your budget", tag("div", [tag("div", one, class_="card") for one in gauges], class_="cards"), name="budget"
    )


def gauge(budget: Budget, report: Report, *, wide: bool) -> Markup:
    """How full one window of a budget is."""
    part = budget.spent / budget.limit if budget.limit > 0 else 1.0
    words = f"{figures.money(budget.spent)} of {figures.money(budget.limit)}"
    name = {"day": "Today", "week": "This week", "month": "This month"}[budget.period]
    left = max(0.0, budget.limit - budget.spent)
    return tag(
        "div",
        tag("span", name),
        tag(
            "b",
            exact(budget.spent, figures.money(budget.spent)),
            " of ",
            exact(budget.limit, figures.money(budget.limit)),
        ),
        meter(part, label=f"{name}: {words}, {figures.share(part)}"),
        tag("small", f"{figures.money(left)} left, " if left else "used up, ", "new ", moment(budget.resets, report))
        if wide
        else None,
        class_="gauge",
    )


def user_table(report: Report) -> Markup:
    """Every user: what they used in the report's days, and how full their budgets are."""
    used = report.used
    known = {user.name: user for user in report.users}
    names = sorted(
        {*used, *known},
        key=lambda name: (-(used.get(name, Sums()).cost_usd or 0.0), -used.get(name, Sums()).total_tokens, name),
    )
    if not names:
        words = (
            "Nobody has used the gateway yet. ",
            tag("code", "./run.sh user add alice"),
            " makes a key for somebody.",
        )
        return section("Users", nothing(*words), name="users")
    head = [
        ("User", ""), ("Requests", "n"), ("Input", "n wide"), ("Output", "n wide"), ("Cache write", "n wide"),
        ("Cache read", "n wide"), ("Tokens", "n"), ("Cost", "n"),
    ]  # fmt: skip
    with_budgets = any(user.budgets for user in report.users)
    if with_budgets:
        head.append(("Budget", ""))
    rows = [
        user_row(name, used.get(name, Sums()), known.get(name), report, with_budgets=with_budgets)
        for name in names[:MOST_ROWS]
    ]
    whole = Sums()
    for sums in used.values():
        whole.add(sums)
    foot = tag("tfoot", tag("tr", tag("td", "All"), cells(whole), tag("td") if with_budgets else None))
    more = f"the last {len(report.days)} days" + (
        f", {len(names) - MOST_ROWS} more aren't shown" if len(names) > MOST_ROWS else ""
    )
    return section("Users", table("users", head, rows, foot), more=more, name="users")


def user_row(name: str, sums: Sums, user: User | None, report: Report, *, with_budgets: bool) -> Markup:
    marks: list[Child] = []
    if user and user.revoked:
        marks.append([" ", tag("span", "revoked", class_="badge")])
    if user and user.admin:
        marks.append([" ", tag("span", "admin", class_="badge")])
    if user and any(budget.limit <= budget.spent for budget in user.budgets):
        marks.append([" ", tag("span", "over budget", class_="badge over")])
    gauges = [gauge(budget, report, wide=False) for budget in user.budgets] if user else None
    last = tag("td", gauges or tag("span", "no limit", class_="dim"), class_="budget") if with_budgets else None
    return tag("tr", tag("td", tag("b", cut(name)), marks), cells(sums), last)


def cells(sums: Sums) -> list[Markup]:
    """The numbers of a row of users."""
    kinds = (sums.input_tokens, sums.output_tokens, sums.cache_write_tokens, sums.cache_read_tokens)
    return [
        tag("td", exact(sums.requests, figures.count(sums.requests)), class_="n"),
        *(tag("td", exact(kind, figures.short(kind)), class_="n wide") for kind in kinds),
        tag("td", exact(sums.total_tokens, figures.short(sums.total_tokens)), class_="n"),
        tag("td", money(sums), class_="n"),
    ]


# Now


def running(report: Report) -> Markup:
    """The requests that have not ended."""
    count = len(report.running)
    if not count:
        return section("Running now", nothing("No request is running."), name="running")
    head = [("User", ""), ("Model", ""), ("Goes to", ""), ("Kind", "wide"), ("", ""), ("For", "n")]
    rows = [running_row(one, report) for one in report.running[:MOST_ROWS]]
    more = f"{count} requests" if count > 1 else "one request"
    return section("Running now", table("running", head, rows), more=more, name="running")


def running_row(one: Running, report: Report) -> Markup:
    state = (
        tag("span", "answering", class_="badge fine")
        if one.state == "answering"
        else tag("span", "waiting", class_="badge")
    )
    tries = tag("small", f"attempt {one.attempt}") if one.attempt > 1 else None
    return tag(
        "tr",
        tag("td", tag("b", cut(one.user))),
        tag("td", cut(one.asked)),
        tag("td", cut(one.target) or tag("span", figures.UNKNOWN, class_="dim"), tries, class_="target"),
        tag("td", one.request_class, class_="wide"),
        tag("td", state),
        tag("td", figures.seconds(max(0.0, report.now.timestamp() - one.since)), class_="n"),
    )


# Accounts, providers, failovers


def health(report: Report) -> Markup:
    """Accounts, the providers behind them, and what went elsewhere."""
    below = tag("div", providers(report), failovers(report), class_="two apart")
    return tag("div", accounts(report), below, class_="rows")


def accounts(report: Report, action: Callable[[Account], Child] = lambda _account: None) -> Markup:
    """A card for each account of each pool. `action`: what can be done with it."""
    if not report.accounts:
        return section("Accounts", nothing("No accounts: requests use each client's own credential."), name="accounts")
    usable = sum(account.state == "usable" for account in report.accounts)
    cards = [account_card(account, report, action(account)) for account in report.accounts[:MOST_ROWS]]
    return section(
        "Accounts",
        tag("div", cards, class_="cards"),
        more=f"{usable} of {len(report.accounts)} usable",
        name="accounts",
    )


def account_card(account: Account, report: Report, action: Child = None) -> Markup:
    badge = tag(
        "span", account.state, class_="badge " + {"usable": "fine", "cooling": "high"}.get(account.state, "over")
    )
    gauges = [
        tag(
            "div",
            tag("span", name),
            tag("b", figures.share(part)),
            meter(part, label=f"{name}: {figures.share(part)}"),
            class_="gauge",
        )
        for name, part in (("5 hours", account.five_hours), ("7 days", account.week))
        if part is not None
    ]
    until = None
    if account.until is not None:
        until = tag(
            "p", "until ", moment(account.until, report), f" ({figures.ago(account.until, report.now.timestamp())})"
        )
    facts = f"{plural(account.sessions, 'session')} · {plural(account.requests, 'request')} in the last hour"
    if account.failures:
        facts += f", {account.failures} failed"
    return tag(
        "div",
        tag("h3", account.name, badge),
        until,
        tag("p", cut(account.reason)) if account.reason else None,
        gauges,
        tag("p", facts),
        tag("p", tag("code", account.masked), class_="dim"),
        action,
        class_="card",
    )


def plural(number: int, noun: str) -> str:
    """`1 session`, `3 sessions`."""
    return f"{figures.count(number)} {noun}{'' if number == 1 else 's'}"


def providers(report: Report) -> Markup:
    """How each provider did in the last day."""
    if not report.health:
        return section("Providers", nothing("No provider is configured."), name="providers")
    head = [("Provider", ""), ("", ""), ("Asked", "n"), ("Failed", "n"), ("First event", "n")]
    rows = [provider_row(one, report) for one in report.health[:MOST_ROWS]]
    return section("Providers", table("providers", head, rows), more="the last 24 hours", name="providers")


def provider_row(one: Health, report: Report) -> Markup:
    badge = tag("span", "up", class_="badge fine")
    if any(row.model is None and row.sessions is None for row in one.avoided):
        badge = tag("span", "down", class_="badge over")
    elif one.avoided:
        badge = tag("span", "asked last", class_="badge high")
    elif one.off:
        badge = tag("span", "off", class_="badge")
    elif not one.requests:
        badge = tag("span", "not asked", class_="badge")
    why: list[Child] = [tag("small", avoided_words(row, report)) for row in one.avoided[:5]]
    if one.off:
        why.append(tag("small", f"{one.off} is not set"))
    failed: Child = figures.count(one.failures)
    if one.failures:
        failed = [failed, tag("small", figures.share(one.failures, one.requests))]
    return tag(
        "tr",
        tag("td", tag("b", one.provider), why),
        tag("td", badge),
        tag("td", exact(one.requests, figures.count(one.requests)), class_="n"),
        tag("td", failed, class_="n"),
        tag("td", figures.seconds(one.first_event), class_="n"),
    )


def avoided_words(row: Avoided, report: Report) -> list[Child]:
    """What is asked last, until when, and why."""
    whose = f" by {plural(row.sessions, 'session')}" if row.sessions else ""
    until: list[Child] = [" until ", moment(row.until, report)] if row.until is not None else []
    return [f"{cut(row.model or 'all models')} asked last{whose}", until, f": {cut(row.why)}"]


def failovers(report: Report) -> Markup:
    """The failovers of the last day."""
    if not report.failovers:
        return section("Failovers", nothing("None in the last 24 hours."), name="failovers")
    head = [("From", ""), ("To", ""), ("Because of", ""), ("Times", "n")]
    rows = [
        tag(
            "tr",
            tag("td", cut(one.source)),
            tag("td", cut(one.to) or tag("span", "nobody", class_="dim")),
            tag("td", cut(one.reason)),
            tag("td", exact(one.count, figures.count(one.count)), class_="n"),
        )
        for one in report.failovers[:MOST_ROWS]
    ]
    whole = sum(one.count for one in report.failovers)
    return section(
        "Failovers",
        table("failovers", head, rows),
        more=f"{figures.count(whole)} in the last 24 hours",
        name="failovers",
    )


# Requests


def requests(report: Report) -> Markup:
    """The slowest and the failed requests of the last day."""
    return tag(
        "div",
        section(
            "Slowest requests",
            request_table("slowest", report.slowest, report)
            if report.slowest
            else nothing("None in the last 24 hours."),
            more="the last 24 hours",
            name="slowest",
        ),
        section(
            "Failed requests",
            request_table("failed", report.failed, report) if report.failed else nothing("None in the last 24 hours."),
            more="the last 24 hours",
            name="failed",
        ),
        class_="two apart",
    )


def request_table(name: str, rows: Sequence[Request], report: Report) -> Markup:
    """Requests with their trail's line."""
    head = [("When", ""), ("Request", ""), ("First event", "n wide"), ("Took", "n")]
    return table(name, head, [request_row(one, report) for one in rows[:MOST_ROWS]])


def request_row(one: Request, report: Report) -> Markup:
    facts = [one.user] if report.sees_all and one.user else []
    if one.tokens:
        facts.append(f"{figures.short(one.tokens)} tokens")
    if one.cost is not None:
        facts.append(figures.money(one.cost))
    error = tag("small", cut(one.error), class_="error") if one.error else None
    return tag(
        "tr",
        tag("td", moment(one.time, report), class_="nowrap"),
        tag("td", cut(one.line), error, tag("small", " · ".join(facts)) if facts else None, class_="line"),
        tag("td", figures.seconds(one.first_event), class_="n wide"),
        tag("td", exact(one.duration, figures.seconds(one.duration)), class_="n"),
    )
