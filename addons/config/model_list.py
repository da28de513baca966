"""The models that clients may choose from: `GET /v1/models` and `/v1/models/{id}`, in Anthropic's shape.

Claude Code asks for them with CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY=1, and keeps of the answer only ids that have
`claude` or `anthropic` in them; `/model` shows `display_name` and `description`. So each other name is listed a second
time, as `claude-via-NAME`: whoever asks for that gets NAME.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from addons.config.config import Config
from addons.config.presets import service
from addons.config.routing import VIA, Target

CREATED: Final = "2025-01-01T00:00:00Z"
"""An alias has no date of birth; the field is required."""

KEPT_BY_CLAUDE_CODE: Final = re.compile("claude|anthropic", re.IGNORECASE)

PAGE, LARGEST_PAGE = 20, 1000
"""Models on a page, without `limit` and at most."""


def model_list(
    config: Config, query: Mapping[str, Sequence[str]], allowed: Callable[[str], bool] = lambda _name: True
) -> dict[str, Any]:
    """A page of what is on and `allowed` (by its plain name), in the order of the file, the second names behind the
    first ones (`limit`, `after_id`, `before_id` as Anthropic documents)."""
    cards = [card for name in names(config) if allowed(config.plain_name(name)) and (card := model_card(config, name))]
    ids = [card["id"] for card in cards]
    after, before = query.get("after_id", [""])[0], query.get("before_id", [""])[0]
    start = ids.index(after) + 1 if after in ids else 0
    end = ids.index(before) if before in ids else len(ids)
    limit = query.get("limit", [""])[0]
    size = min(max(int(limit), 1), LARGEST_PAGE) if re.fullmatch("[0-9]{1,9}", limit) else PAGE
    # Before an id means just before it: clients go back page by page.
    page = cards[start:end][-size:] if before else cards[start:end][:size]
    return {
        "data": page,
        "has_more": len(cards[start:end]) > size,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def names(config: Config) -> list[str]:
    """The ids of the list: every alias, and a second one for each that Claude Code would leave out."""
    aliases = [route.alias for route in config.aliases()]
    return aliases + [VIA + alias for alias in aliases if not KEPT_BY_CLAUDE_CODE.search(alias)]


def model_card(config: Config, name: str) -> dict[str, Any] | None:
    """What a client is told of one model; None when there is none of that name, or it can't be used."""
    target = next((target for target in config.targets(name) if not target.provider.missing), None)
    if target is None:
        return None
    plain = config.plain_name(name)
    card: dict[str, Any] = {
        "type": "model",
        "id": VIA + plain if name.startswith(VIA) else plain,
        "display_name": plain,
        "description": description(target),
        "created_at": CREATED,
        "lifecycle": "active",
    }
    if target.context_window:
        card |= {"context_window": target.context_window, "max_input_tokens": target.context_window}
    if target.max_output_tokens:
        card |= {"max_output_tokens": target.max_output_tokens, "max_tokens": target.max_output_tokens}
    return card


def description(target: Target) -> str:
    """`GLM-5 at Z.AI, 200k`: the model, who serves it, and how much it reads."""
    provider = target.provider
    at = service(provider.preset) if provider.preset else provider.name
    window = f", {thousands(target.context_window)}" if target.context_window else ""
    return f"{spelt(target.model)} at {at}{window}"


def spelt(model: str) -> str:
    """A model's name without its maker, and with an abbreviation in capitals: `zai-org/glm-5` is GLM-5."""
    name = model.rpartition("/")[2]
    first = re.match("[a-z]*", name)
    word = first[0] if first else ""
    return name if re.search("[aeiou]", word) else word.upper() + name[len(word) :]


def thousands(tokens: int) -> str:
    """A number of tokens as people say it: 200000 is 200k, 131072 is 128k, 1048576 is 1M."""
    unit = 1024 if tokens % 1024 == 0 and tokens % 1000 else 1000
    if tokens < unit:
        return str(tokens)
    return f"{tokens / unit**2:.3g}M" if tokens >= unit**2 else f"{tokens // unit}k"
