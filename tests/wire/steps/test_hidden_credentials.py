"""Names under which clients of other gateways hide credentials in a body."""

from __future__ import annotations

import pytest

from addons.wire.steps.hidden_credentials import is_credential, take_credentials


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apiKey",
        "api-keys",
        "apiKeys",
        "API_KEYS",
        "access_token",
        "access_tokens",
        "auth_token",
        "authorization",
        "Authorizations",
        "cookies",
        "headers",
        "extra_headers",
        "x-api-keys",
    ],
)
def test_credentials_in_singular_and_plural(name: str) -> None:
    value = {"metadata": [{name: ["secret"], "user_id": "u"}]}
    assert take_credentials(value) == [name]
    assert value == {"metadata": [{"user_id": "u"}]}


@pytest.mark.parametrize("name", ["max_tokens", "key", "keys", "tokens", "stop_sequences", "budget_tokens", "s", ""])
def test_what_only_sounds_like_one(name: str) -> None:
    assert not is_credential(name)
