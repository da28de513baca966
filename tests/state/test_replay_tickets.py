"""Tickets of replays: random, good once, and as good as the caller they stand for."""

from __future__ import annotations

from addons.state.exchange import ClientCredential
from addons.state.replay_tickets import Tickets
from tests.exchanges import exchange


def test_a_ticket_is_good_once() -> None:
    tickets = Tickets()
    ticket = tickets.issue(None)
    assert tickets.redeem(ticket.number) is ticket
    assert tickets.redeem(ticket.number) is None


def test_what_was_never_issued_is_worth_nothing() -> None:
    tickets = Tickets()
    tickets.issue(None)
    assert tickets.redeem("") is None
    assert tickets.redeem("0" * 32) is None


def test_numbers_are_long_and_differ() -> None:
    tickets = Tickets()
    numbers = {tickets.issue(None).number for _ in range(100)}
    assert len(numbers) == 100
    assert {len(number) for number in numbers} == {32}


def test_it_stands_for_the_first_caller() -> None:
    first = exchange()
    first.client.caller, first.client.token_mode = "alice", "passthrough"
    first.client.credential = ClientCredential(authorization="Bearer own-0123456789")
    ticket = Tickets().issue(first)
    assert ticket.client == first.client


def test_a_flow_from_a_file_had_no_caller_that_we_know() -> None:
    ticket = Tickets().issue(None)
    assert ticket.client is None
