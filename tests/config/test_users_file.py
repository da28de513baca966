"""`users:` and `alerts:` of routing.yaml."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from addons.config.config import load
from addons.config.routing import AlertSettings, Budget, UserSettings
from tests.config.routing_texts import with_section


def users(text: str) -> UserSettings:
    return load(with_section(*text.splitlines()), {"ZAI_API_KEY": "zai-key"}, filename="routing.yaml").users


def test_all_of_it() -> None:
    assert users(
        "users:\n"
        "  budget: {day: 20, month: 250.5}\n"
        "  timezone: Europe/Berlin\n"
        "  requests_per_minute: 60\n"
        "  sessions: 8\n"
        '  models: ["glm*", "claude-*"]\n'
        '  message: "Ask #claude-help."'
    ) == UserSettings(
        timezone=ZoneInfo("Europe/Berlin"),
        budget=Budget(day=20, month=250.5),
        requests_per_minute=60,
        sessions=8,
        models=("glm*", "claude-*"),
        message="Ask #claude-help.",
    )


def test_nothing_of_it() -> None:
    assert users("") == UserSettings()
    assert users("users: {models: glm}").models == ("glm",)
    assert users('users: {models: ["glm", "*"]}').models == ()


def test_alerts() -> None:
    env = {"ZAI_API_KEY": "zai-key", "HOOK": "https://hooks.example/T0/secret"}
    config = load(with_section('alerts: {webhook: "${HOOK}", at: [1, 0.5, 0.5]}'), env, filename="routing.yaml")
    assert config.alerts == AlertSettings(webhook=env["HOOK"], at=(0.5, 1.0))
    assert env["HOOK"] in config.secrets() and "secret" not in repr(config)
