"""Limits: budgets, requests a minute and sessions at once of whoever asks; checked before a provider is, settled at the
end.

A budget is checked when the request comes and before each attempt, fallbacks included: what an attempt may cost is
reserved, so that many at once don't all pass. A target that costs nothing is always open, unless the budget is nothing.
When the ledger can't be read, requests pass, and the log says so. Where several gateways serve one team, the others are
asked when the request comes, and the first attempt waits for the answer (team/shared_limits.py); when there is none in
time, the limits are this gateway's own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from functools import partial

from mitmproxy import ctx, http

from addons.config.config import Target
from addons.config.settings import Settings
from addons.proxy.header_lines import put
from addons.proxy.replies import error_response
from addons.proxy.waking import waker
from addons.state.exchange import Allowance, Exchange, Trying, exchange_of
from addons.state.result import result_of
from addons.state.shared import ANSWERED_WITHIN, Admit, Admitted, Asked, Shared
from addons.state.users import User
from addons.team.alerts import Alerts
from addons.team.budgets import ROUNDING, Budgets, Over
from addons.team.estimates import Estimates, by_words
from addons.team.limits import (
    ANYONE,
    Refusal,
    Terms,
    budget_lines,
    over_budget,
    too_fast,
    too_many_sessions,
)
from addons.team.pace import Rates, Sessions
from addons.team.running_windows import RunningWindows, spent_in
from addons.team.shared_limits import SharedLimits
from addons.team.spend_report import spend_report
from addons.team.windows import Windows

logger = logging.getLogger(__name__)

WAIT = 60.0
WAIT_IN_SILENCE = 10.0
"""Seconds for which a new session waits for a place; without pings clients lose patience."""

LOOK_AGAIN = 0.5
"""Seconds between looks for a place."""

AT_ONCE = 0.001
"""Seconds for which an attempt is postponed that begins anew with another target."""

USAGE_PATH = "/api/oauth/usage"
"""Where Claude Code's `/usage` looks."""

ADMIN = User("admin", "admin", admin=True)


class Limits:
    """Refuses what is over a limit, lets a session wait for its place, and counts what was spent."""

    def __init__(
        self,
        settings: Settings,
        budgets: Budgets | None = None,
        alerts: Alerts | None = None,
        clock: Callable[[], float] = time.time,
        shared: Shared | None = None,
    ) -> None:
        self.settings = settings
        self.budgets = budgets or Budgets()
        self.alerts = alerts or Alerts()
        self.clock = clock
        self.terms = Terms()
        self.estimates = Estimates()
        self.running_windows = RunningWindows(settings, self.budgets, clock)
        self.windows = self.running_windows.now
        self.rates = Rates()
        self.sessions = Sessions()
        self.others = SharedLimits(shared or Shared(), self.budgets, self.sessions)
        self.following: asyncio.Task[None] | None = None

    async def running(self) -> None:
        """Take over what was spent before the start."""
        if self.others.shared.link:
            read = partial(spent_in, ctx.options.gateway_db)
            self.following = asyncio.get_running_loop().create_task(self.others.follow(self.windows, read))
        await self.running_windows.begin(ctx.options.gateway_db)

    def done(self) -> None:
        self.running_windows.end()
        if self.following:
            self.following.cancel()

    def forget(self, name: str) -> None:
        """Know nothing more of a user who was deleted: somebody else may get the name."""
        self.budgets.purses.pop(name, None)
        self.rates.came.pop(name, None)
        self.sessions.seats.pop(name, None)
        self.others.forget(name, self.windows())

    # A request comes

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or exchange.own or exchange.kind != "messages" or flow.response:
            return
        user = self.caller(exchange)
        if user is None or not (user.budget or user.rpm or user.sessions):
            return
        ask, others = exchange.config.users.message, self.others.are_asked
        if not others and user.rpm and (wait := self.rates.wait(user.name, user.rpm, exchange.clock())):
            self.refuse(exchange, flow, too_fast(user.name, user.rpm, wait, ask))
            return
        targets = exchange.plan.targets
        if targets and user.budget and (refusal := self.refusal(exchange, user, targets[0])):
            open_to_all = [target for target in targets[1:] if not self.refusal(exchange, user, target)]
            if not self.serve_for_nothing(exchange, flow, refusal, open_to_all):
                return
        exchange.allowance = Allowance(user)
        if user.budget:
            self.tell(exchange, user)
        if others and exchange.plan.targets:
            self.ask(flow, exchange, exchange.allowance, exchange.plan.targets[0], counts=True)

    def serve_for_nothing(
        self, exchange: Exchange, flow: http.HTTPFlow, refusal: Refusal, open_to_all: list[Target]
    ) -> bool:
        """Whether anything is left for somebody who is over a budget; else that is the answer."""
        if not open_to_all:
            self.refuse(exchange, flow, refusal)
            return False
        exchange.note("limits", f"{refusal.error.message} What costs nothing is left")
        exchange.plan.targets = open_to_all
        return True

    def refusal(self, exchange: Exchange, user: User, target: Target) -> Refusal | None:
        """Why this target isn't asked; None: it may be."""
        windows = self.windows()
        if self.budgets.left(user.name, user.budget, windows) > ROUNDING:
            return None
        over = self.budgets.over(user.name, user.budget, windows)
        if over is None or (not any_of_nothing(user) and by_words(exchange, target, self.clock()) == 0):
            return None
        users = exchange.config.users
        return over_budget(user.name, over, self.clock(), users.timezone, users.message)

    def refuse(self, exchange: Exchange, flow: http.HTTPFlow, refusal: Refusal) -> None:
        """Answer in place of a provider."""
        exchange.kind = "local"
        exchange.note("limits", refusal.error.message)
        error = refusal.error
        flow.response = error_response(error.status, error.message, exchange.request_id, kind=error.type)
        for name, value in refusal.headers.items():
            put(flow.response.headers, name.encode(), value.encode())

    # An attempt is made

    def attempt(self, trying: Trying) -> None:
        exchange, target = trying.exchange, trying.target
        allowance = exchange.allowance
        if allowance is None or target is None or exchange.own:
            return
        user = allowance.user
        if allowance.asked and not self.heard(trying, allowance, allowance.asked):
            return
        if self.others.are_asked:
            self.go_by_others(trying, allowance, user)
            return
        if user.sessions and not allowance.seated and not self.seat(trying, allowance, user):
            return
        if not user.budget:
            return
        if allowance.reserved:  # what it has reserved itself doesn't count against it
            self.budgets.reserve(user.name, 0.0, allowance.reserved)
            allowance.reserved = 0.0
        if refusal := self.refusal(exchange, user, target):
            trying.attempt.refuse(refusal.error, refusal.headers)
            return
        windows = self.windows()
        allowance.reserved = self.price(exchange, target, user, windows)
        self.budgets.reserve(user.name, allowance.reserved)

    def tell(self, exchange: Exchange, user: User) -> None:
        """Have the client told how much of its user's budget is used, whenever the head of its answer goes out."""
        fullest = self.budgets.fullest(user.name, user.budget, self.windows())
        exchange.told = budget_lines(fullest) if fullest else ()

    def seat(self, trying: Trying, allowance: Allowance, user: User) -> bool:
        """Whether its session counts among those of its user; else the attempt waits, or isn't made."""
        exchange, now = trying.exchange, trying.exchange.clock()
        assert user.sessions
        session = exchange.client.who
        if self.sessions.take(user.name, session, user.sessions, now):
            allowance.seated = True
            return True
        self.await_place(trying, user, self.sessions.soonest(user.name, now))
        return False

    def await_place(self, trying: Trying, user: User, wait: float) -> None:
        """Have the attempt wait for a place, for a while; then it isn't made. `wait`: when there may be one."""
        exchange = trying.exchange
        assert user.sessions
        if exchange.clock() - exchange.started < (WAIT if exchange.stream else WAIT_IN_SILENCE):
            trying.attempt.postponed = LOOK_AGAIN
            return
        refusal = too_many_sessions(user.name, user.sessions, wait, exchange.config.users.message)
        trying.attempt.refuse(refusal.error, refusal.headers)

    # Others are asked

    def ask(
        self, flow: http.HTTPFlow, exchange: Exchange, allowance: Allowance, target: Target, *, counts: bool = False
    ) -> None:
        """Ask the other gateways whether a target may be asked; `counts`: the request is one more in this minute."""
        user, windows = allowance.user, self.windows()
        dollars = self.price(exchange, target, user, windows) if user.budget else 0.0
        allowance.asked_for = target
        self.others.ask(allowance, exchange.client.who, windows, dollars, waker(flow), counts=counts)

    def go_by_others(self, trying: Trying, allowance: Allowance, user: User) -> None:
        """Go on when nothing more has to be asked: for a place, or for a target that may cost more."""
        exchange, target = trying.exchange, trying.target
        assert target
        if (user.sessions and not allowance.seated) or (user.budget and target is not allowance.asked_for):
            self.ask(trying.flow, exchange, allowance, target)
            if allowance.asked:
                trying.attempt.postponed = ANSWERED_WITHIN
        if user.budget and not trying.attempt.postponed:
            self.tell(exchange, user)

    def heard(self, trying: Trying, allowance: Allowance, asked: Asked) -> bool:
        """Take over what the others have said. False: nothing yet, or the attempt isn't made."""
        exchange, user, question, said = trying.exchange, allowance.user, asked.question, asked.answer
        if asked.waits:
            trying.attempt.postponed = ANSWERED_WITHIN
            return False
        allowance.asked = None
        assert isinstance(question, Admit)
        if not isinstance(said, Admitted):  # nobody has said anything in time
            wait = self.rates.wait(user.name, question.rpm, exchange.clock()) if question.rpm else 0.0
        else:
            wait = said.wait
            self.others.take(allowance, question, said, exchange.client.who)
        if wait:
            assert user.rpm
            self.refuse(exchange, trying.flow, too_fast(user.name, user.rpm, wait, exchange.config.users.message))
            return False
        if isinstance(said, Admitted) and question.sessions and not said.seated:
            allowance.asked_for = None
            self.await_place(trying, user, said.soonest)
            return False
        if isinstance(said, Admitted) and said.over:
            self.over_by_others(trying, allowance, question, said)
            return False
        return True

    def over_by_others(self, trying: Trying, allowance: Allowance, question: Admit, said: Admitted) -> None:
        """Refuse a target for which no budget is left, with what all gateways have spent and reserved."""
        exchange, user, users = trying.exchange, allowance.user, trying.exchange.config.users
        of_all = zip(self.windows(), (user.budget.day, user.budget.week, user.budget.month), strict=True)
        spent = dict(zip((span.name for span, _ in question.budgets), said.spent, strict=True))
        window, most = next((window, most) for window, most in of_all if window.name == said.over and most is not None)
        over = Over(window, spent[said.over], most)
        refusal = over_budget(user.name, over, self.clock(), users.timezone, users.message)
        if len(exchange.attempts) > 1:
            trying.attempt.refuse(refusal.error, refusal.headers)
            return
        targets = [] if any_of_nothing(user) else exchange.plan.targets[1:]
        open_to_all = [target for target in targets if by_words(exchange, target, self.clock()) == 0]
        if self.serve_for_nothing(exchange, trying.flow, refusal, open_to_all):
            trying.attempt.postponed = AT_ONCE  # with another target
        else:
            self.leave(exchange, allowance)

    def leave(self, exchange: Exchange, allowance: Allowance) -> None:
        """Free the place of a session's request; and whatever is granted from here on."""
        session = exchange.client.who
        if allowance.seated:
            allowance.seated = False
            self.sessions.leave(allowance.user.name, session, exchange.clock())
            self.others.left(allowance.user.name, session)
        if allowance.asked:
            self.others.take_back(allowance.asked)

    def price(self, exchange: Exchange, target: Target, user: User, windows: Windows) -> float:
        """US dollars to reserve for an attempt."""
        left = self.budgets.left(user.name, user.budget, windows)
        return self.estimates.to_reserve(exchange, target, left, self.clock())

    def share(self, exchange: Exchange) -> float:
        """How much of the fullest budget of whoever asks is used, in percent; 0 without a budget."""
        user = self.caller(exchange)
        fullest = self.budgets.fullest(user.name, user.budget, self.windows()) if user and user.budget else None
        return fullest.share * 100 if fullest else 0.0

    def budget_of(self, exchange: Exchange) -> dict[str, object] | None:
        """The budget of whoever asks of which most is used, for a status line; None without a budget."""
        user = self.caller(exchange)
        found = self.budgets.fullest(user.name, user.budget, self.windows()) if user and user.budget else None
        return found and {"window": found.window.name, "budget_usd": found.budget, "spent_usd": found.spent}

    def caller(self, exchange: Exchange) -> User | None:
        """Whoever asks, with all limits that hold; None: the administrator, or nobody who asks for models."""
        client = exchange.client
        if client.user is None and client.caller in ("anyone", "replay"):
            return self.terms.of(ANYONE, exchange.config.users)
        return client.user

    # It has ended

    def response(self, flow: http.HTTPFlow) -> None:
        self.settle(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.settle(flow)

    def settle(self, flow: http.HTTPFlow) -> None:
        """Count what a request has cost, and free its session's place."""
        exchange = exchange_of(flow)
        if exchange is None or exchange.kind != "messages":
            return
        allowance, exchange.allowance = exchange.allowance, None
        if allowance:
            self.leave(exchange, allowance)
        user = self.caller(exchange)
        if user is None or not (user.budget or exchange.client.user):
            return  # (what users without a budget spend is counted: they may get one)
        dollars = sum([charge.budget for charge in result_of(exchange, flow).charges])
        windows, alerts = self.windows(), exchange.config.alerts
        reserved, others = allowance.reserved if allowance else 0.0, self.others.are_asked
        alert = None
        if user.budget and alerts.webhook:
            before = {window.name: self.budgets.spent(user.name, window) for window in windows}
            if others:
                alert = partial(self.alerts.spent, alerts, user, dollars=dollars, windows=windows)
            else:
                self.alerts.spent(alerts, user, before, dollars, windows)
        self.budgets.settle(user.name, reserved, dollars, windows)
        if others:
            self.others.settle(user, reserved, dollars, windows, alert)


class BudgetDisplay:
    """Answers Claude Code's `/usage`: what the user has spent of each budget."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def request(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        if exchange is None or exchange.method != "GET" or exchange.path.partition("?")[0] != USAGE_PATH:
            return
        user = exchange.client.user or (ADMIN if exchange.client.caller == "admin" else None)
        if user is not None:  # anybody else's credential isn't ours: it is for Anthropic to answer
            exchange.kind = "local"
            report = spend_report(user.name, user.budget, self.limits.budgets, self.limits.windows())
            flow.response = http.Response.make(200, json.dumps(report), {"content-type": "application/json"})


def any_of_nothing(user: User) -> bool:
    """Whether one of the user's budgets is nothing: then what costs nothing isn't served either."""
    return 0 in (user.budget.day, user.budget.week, user.budget.month)
