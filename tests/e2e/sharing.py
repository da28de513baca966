"""What gateways (or workers) that share keep together, as far as they reach each other."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

import httpx

from tests.e2e.gateway import messages_body
from tests.fakes.provider import Provider

SESSION = "x-claude-code-session-id"


def stays_on_its_account(clients: Iterable[httpx.Client], anthropic: Provider, status: str) -> bool:
    """Whether the requests of a new session, one of each client, have gone out with one account.

    Each client keeps its connection to one gateway, whose /health says `status` while it reaches the others. False: on
    a busy machine one of them has not reached the others in time, and went by what it knew itself.
    """
    begin, reached = len(anthropic.requests), list[bool]()
    headers, body = {SESSION: str(uuid4())}, messages_body("anthropic/claude-opus-5-5")
    for client in clients:
        reached.append(client.get("/health").json()["shared"] == status)
        assert client.post("/v1/messages", json=body, headers=headers).status_code == 200
        reached.append(client.get("/health").json()["shared"] == status)
    accounts = {request.token for request in anthropic.requests[begin:]}
    assert len(accounts) == 1 or not all(reached)
    return all(reached)
