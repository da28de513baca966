"""Logins of Claude Code in files, and a token endpoint that renews them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from addons.state.credentials_file import Answer

NOW = 1_800_000_000.0
SOON = NOW + 100
LATER = NOW + 10_000


class Endpoint:
    """A token endpoint that takes each refresh token once, as the real one does."""

    def __init__(self, valid: str = "refresh-0") -> None:
        self.valid = valid
        self.asked: list[str] = []
        self.answers: list[Answer | Callable[[], Answer]] = []
        self.during: Callable[[], None] = lambda: None

    def __call__(self, body: bytes) -> Answer:
        token = json.loads(body)["refresh_token"]
        self.asked.append(token)
        self.during()
        if self.answers:
            answer = self.answers.pop(0)
            return answer() if callable(answer) else answer
        if token != self.valid:
            return Answer(400, {}, b'{"error": "invalid_grant"}')
        number = int(token.partition("-")[2]) + 1
        self.valid = f"refresh-{number}"
        fields = {"access_token": f"access-{number}", "refresh_token": self.valid, "expires_in": 28_800}
        return Answer(200, {}, json.dumps(fields).encode())


def write(path: Path, number: int = 0, expires: float = SOON, **more: Any) -> None:
    """Write the login with this number, as the client does."""
    login = {"accessToken": f"access-{number}", "refreshToken": f"refresh-{number}", "expiresAt": expires * 1000}
    path.write_text(json.dumps({"claudeAiOauth": {**login, "subscriptionType": "max"}, "other": 1, **more}))
    path.chmod(0o600)
