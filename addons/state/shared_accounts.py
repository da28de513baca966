"""What gateways of a team tell each other of accounts: cooldowns, refusals and their ends, room, where sessions stay.

Rules that hold here: no decision about a request, and no clock (`now` is epoch seconds is given); what is heard is put
into the pools of this process and not told again. A login in a file belongs to one machine: nothing of it is told to
others.
"""

from __future__ import annotations

from collections.abc import Callable

from addons.config.routing import FILE
from addons.state.account_pools import AccountPools
from addons.state.pool import Account, AccountPool, Cooldown
from addons.state.pool import Refusal as PoolRefusal
from addons.state.shared import (
    Asked,
    Cooled,
    Moved,
    Refused,
    Resumed,
    RoomSeen,
    Shared,
    Sit,
    cooldown,
    cooled,
    room,
    room_seen,
)
from addons.state.store import Seat
from addons.wire.rate_limits import Room


class SharedAccounts:
    """Tells others of the accounts of these pools, and hears what they tell."""

    def __init__(self, pools: AccountPools, shared: Shared, clock: Callable[[], float]) -> None:
        self.pools, self.shared, self.clock = pools, shared, clock
        shared.on(Cooled, self.hear_cooled)
        shared.on(Refused, self.hear_refused)
        shared.on(Resumed, self.hear_resumed)
        shared.on(RoomSeen, self.hear_room)
        shared.on(Moved, self.hear_moved)
        shared.on_joining(self.tell_all)

    def concerns_others(self, account: Account) -> bool:
        """Whether there is anybody who may have this account too."""
        link = self.shared.link
        return link is not None and not (link.status.startswith("redis") and account.value.startswith(FILE))

    # Telling

    def cooled(self, account: Account, row: Cooldown) -> None:
        """An account cools down from now on."""
        if self.concerns_others(account):
            self.shared.tell(cooled(row))

    def refused(self, pool: AccountPool, account: Account) -> None:
        """An account was taken out, or is taken back."""
        if self.concerns_others(account):
            refusal = pool.refused.get(account.fingerprint, PoolRefusal(0.0, ""))
            self.shared.tell(Refused(account.fingerprint, refusal.until, refusal.reason))

    def resumed(self, account: Account, model: str | None = None) -> None:
        """An account may be used again."""
        if self.concerns_others(account):
            self.shared.tell(Resumed(account.fingerprint, model))

    def seen(self, account: Account, found: Room) -> None:
        """An account's room has changed."""
        if self.concerns_others(account):
            self.shared.tell(room_seen(account.fingerprint, found))

    def moved(self, pool: AccountPool, session: str, account: Account) -> None:
        """A session stays on another account."""
        if self.concerns_others(account):
            self.shared.tell(Moved(session, pool.name, account.fingerprint))

    def tell_all(self) -> None:
        """Others are reached (again): they may not know, or have lost, what holds here."""
        now = self.clock()
        for pool in self.pools.by_key.values():
            for account in pool.accounts:
                if self.concerns_others(account):
                    self.tell_one(pool, account, now)

    def tell_one(self, pool: AccountPool, account: Account, now: float) -> None:
        """Tell all that holds of an account."""
        for row in pool.cooldowns.values():
            if row.fingerprint == account.fingerprint and row.until > now:
                self.shared.tell(cooled(row))
        if pool.is_refused(account, now):
            self.refused(pool, account)
        if found := pool.rooms.get(account.fingerprint):
            self.shared.tell(room_seen(account.fingerprint, found))

    # Asking

    def ask_for_seat(self, pool: AccountPool, session: str, account: Account) -> Asked | None:
        """On which account does a session stay that is not known here? None: nobody else can know."""
        return self.shared.ask(Sit(session, pool.name, account.fingerprint)) if self.concerns_others(account) else None

    def sit(self, pool: AccountPool, session: str, mark: str, now: float) -> None:
        """Take over on which account it stays, if that is one of ours."""
        if account := found(pool, mark):
            pool.last = account
            pool.sit(session, account)
            self.pools.store.record(Seat(session, pool.name, mark, now))

    # Hearing

    def hear_cooled(self, news: Cooled) -> None:
        for pool in self.pools.by_key.values():
            pool.restore([cooldown(news)], self.clock())

    def hear_refused(self, news: Refused) -> None:
        for pool in self.pools.by_key.values():
            if news.until > self.clock():
                pool.refused[news.mark] = PoolRefusal(news.until, news.reason)
            else:
                pool.refused.pop(news.mark, None)

    def hear_resumed(self, news: Resumed) -> None:
        for pool in self.pools.by_key.values():
            if account := found(pool, news.mark):
                pool.resume(account, news.model)

    def hear_room(self, news: RoomSeen) -> None:
        for pool in self.pools.by_key.values():
            if found(pool, news.mark):
                pool.rooms[news.mark] = room(news)

    def hear_moved(self, news: Moved) -> None:
        for pool in self.pools.by_key.values():
            if pool.name == news.pool and news.session in pool.sessions and (account := found(pool, news.mark)):
                pool.sit(news.session, account)


def found(pool: AccountPool, mark: str) -> Account | None:
    """The account of a pool with this fingerprint."""
    return next((one for one in pool.accounts if one.fingerprint == mark), None)
