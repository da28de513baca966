"""Short routing files for tests, and what they give."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from addons.config.config import Config, ConfigError, Target, load

KEYS = {"ZAI_API_KEY": "zai-secret", "KIMI_API_KEY": "kimi-secret", "OPENROUTER_API_KEY": "or-secret"}

MINIMAL = """\
providers:
  zai:
    base_url: https://api.z.ai/api/anthropic
    auth: bearer
    api_key: ${ZAI_API_KEY}
models:
  glm: zai/glm-5
"""


def config(text: str = MINIMAL, env: Mapping[str, str] = KEYS) -> Config:
    return load(text, env, filename="routing.yaml")


def with_provider(*lines: str) -> str:
    """MINIMAL with these lines for the provider zai, from line 3 on."""
    body = "\n".join(f"    {line}" for line in lines)
    return f"providers:\n  zai:\n{body}\nmodels:\n  glm: zai/glm-5\n"


def with_models(*lines: str) -> str:
    """A provider zai without a key, and these lines in `models:`, from line 4 on."""
    body = "\n".join(f"  {line}" for line in lines)
    return f"providers:\n  zai: {{base_url: http://localhost:1, auth: none}}\nmodels:\n{body}\n"


def with_section(*lines: str) -> str:
    """MINIMAL and these lines after it, from line 8 on."""
    return MINIMAL + "\n".join(lines) + "\n"


def complaint(text: str, env: Mapping[str, str] = KEYS) -> str:
    with pytest.raises(ConfigError) as caught:
        config(text, env)
    return str(caught.value)


def brief(targets: list[Target]) -> list[str]:
    return [
        f"{'fallback ' * target.fallback}{target.alias} > {target.provider.name}/{target.model}" for target in targets
    ]
