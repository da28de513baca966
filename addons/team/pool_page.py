"""The pool as a page in mitmweb: what runs, the accounts with a button that ends a cooldown, the providers.

Rules that hold here: those of page.py, whose parts it is made of.
"""

from __future__ import annotations

from addons.team.markup import Child, Markup, joined, tag
from addons.team.page import TITLE, document, foot, mark
from addons.team.page_tables import accounts, failovers, providers, requests, running
from addons.team.report import Account, Report


def pool_page(report: Report, token: str, usage: str) -> str:
    """The whole page. `token`: shows that a form is ours; `usage`: the address of `/gateway/`."""
    body = tag("div", top("Pool", usage), tag("main", pool_content(report, token)), class_="page")
    return document(body, title=f"Pool · {TITLE}", scripted=True)


def top(title: str, usage: str = "") -> Markup:
    """The head of a page in mitmweb: its title, and where else one can look."""
    live = tag("span", tag("i"), tag("span", "live"), class_="live", role="status") if usage else None
    links = [
        tag("a", "Requests", href="/", class_="button"),
        tag("a", "Usage and costs", href=usage, class_="button") if usage else None,
    ]
    return tag("header", tag("h1", mark(), title), live, tag("div", links, class_="who push"))


def pool_content(report: Report, token: str) -> Markup:
    """What changes: everything below the header."""

    def resume(account: Account) -> Child:
        return None if account.state == "usable" else button(account.name, "Resume", token)

    resting = sum(account.state != "usable" for account in report.accounts)
    return joined(
        [
            [tag("p", note, class_="note") for note in report.notes],
            running(report),
            accounts(report, resume),
            button("all", "Resume all", token) if resting > 1 else None,
            tag("div", providers(report), failovers(report), class_="two apart"),
            requests(report),
            foot(report),
        ]
    )


def button(account: str, words: str, token: str) -> Markup:
    """Lets an account, or all, be used again."""
    return tag(
        "form",
        tag("input", type="hidden", name="_xsrf", value=token),
        tag("input", type="hidden", name="account", value=account),
        tag("button", words, type="submit", class_="button"),
        method="post",
        action="/gateway/pool/resume",
    )
