"""`users:` and `alerts:` of routing.yaml: what holds for users, and who is told that a budget runs out.

Rules of this file: those of `routing_file`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from addons.config.ca_bundle import CaBundle
from addons.config.egress import Egress, proxy_variables
from addons.config.routing import VIA, AlertSettings, Budget, UserSettings
from addons.config.variables import read_complete
from addons.config.yaml_reader import Entry

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

WINDOWS: Final = Budget.__struct_fields__
USER_KEYS: Final = UserSettings.__struct_fields__
LONGEST_MESSAGE: Final = 500
NO_ADDRESS: Final = "must be an address, as https://example.com/hook"


def read_users(entry: Entry) -> UserSettings:
    """`users:`."""
    keys, none = entry.mapping(USER_KEYS), UserSettings()
    return UserSettings(
        timezone=read_timezone(keys["timezone"]) if "timezone" in keys else none.timezone,
        budget=read_budget(keys["budget"]) if "budget" in keys else none.budget,
        requests_per_minute=keys["requests_per_minute"].integer(minimum=1) if "requests_per_minute" in keys else None,
        sessions=keys["sessions"].integer(minimum=1) if "sessions" in keys else None,
        models=read_models(keys["models"]) if "models" in keys else none.models,
        message=read_message(keys["message"]) if "message" in keys else none.message,
    )


def read_timezone(entry: Entry) -> ZoneInfo:
    """A time zone by its name."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # few name one

    try:
        return ZoneInfo(entry.text())
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise entry.error("must be the name of a time zone, as Europe/Berlin or UTC") from None


def read_budget(entry: Entry) -> Budget:
    """`{day: 20, week: 80, month: 250}`: US dollars."""
    return Budget(**{window: dollars.number() for window, dollars in entry.mapping(WINDOWS).items()})


def read_models(entry: Entry) -> tuple[str, ...]:
    """Patterns of models' names; one may stand without brackets."""
    patterns = []
    for item in entry.items() if entry.is_list else [entry]:
        if item.text().count("*") > 1:
            raise item.error("has more than one *")
        if item.text().startswith(VIA):
            raise item.error(f"would allow nothing: {VIA}NAME is called NAME here")
        patterns.append(item.text())
    return () if "*" in patterns else tuple(patterns)


def read_message(entry: Entry) -> str:
    """A sentence that goes into an error."""
    text = entry.text()
    if len(text) > LONGEST_MESSAGE or not text.isprintable():
        raise entry.error(f"must be a sentence of at most {LONGEST_MESSAGE} characters")
    return text


def read_alerts(entry: Entry, env: Mapping[str, str], ca_bundle: CaBundle | None = None) -> AlertSettings:
    """`alerts:`."""
    keys = entry.mapping(("webhook", "at"))
    if "webhook" not in keys:
        raise entry.error("webhook: is missing")
    address = read_complete(keys["webhook"], env)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise keys["webhook"].error(NO_ADDRESS) from None
    if parts.scheme not in ("http", "https") or not host:
        raise keys["webhook"].error(NO_ADDRESS)
    at = AlertSettings().at
    if "at" in keys:
        items = keys["at"].items() if keys["at"].is_list else [keys["at"]]
        shares = [(item, item.number()) for item in items]
        for item, share in shares:
            if not 0 < share <= 1:
                raise item.error("must be a share of a budget: more than 0, at most 1")
        at = tuple(sorted({share for _, share in shares}))
    proxy = proxy_variables(env).of(parts.scheme, host, port)
    return AlertSettings(webhook=address, at=at, egress=Egress(proxy, ca_bundle))
