"""Labels: what the configuration writes out has a label of its own, what clients make up has none."""

from addons.config.config import load
from addons.team.labels import Labels

ROUTING = """
providers:
  anthropic: {base_url: "https://a.test", auth: claude-oauth}
  zai: {base_url: "https://z.test", auth: none}
models:
  glm: zai/glm-5
  zai/*: zai/*
  claude-*: anthropic/claude-*
fallbacks:
  claude-*: [claude-haiku-5-5, glm]
routes:
  - {when: {tools: web_search}, to: claude-sonnet-5-5}
safeguards: {model: zai/glm-5-air}
"""


def test_names_that_are_written_out() -> None:
    config = load(ROUTING, {}, filename="routing.yaml")
    labels = Labels(config)
    assert labels.models == {
        ("zai", "glm-5"),
        ("zai", "glm-5-air"),
        ("anthropic", "claude-haiku-5-5"),
        ("anthropic", "claude-sonnet-5-5"),
    }
    (listed, *_), (dated, *_) = config.targets("claude-opus-5-5"), config.targets("claude-sonnet-4-5-20250929")
    assert (labels.model(listed), labels.model(dated)) == ("claude-opus-5-5", "claude-sonnet-4-5")
    (known, *_), (odd, *_) = config.targets("claude-haiku-5-5"), config.targets("claude-odd-1")
    assert (labels.model(known), labels.model(odd)) == ("claude-haiku-5-5", "other")
    assert (labels.provider("zai"), labels.provider("elsewhere")) == ("zai", "other")
    assert (labels.name("zai", "glm-5"), labels.name("zai", None), labels.name("zai", "x")) == ("glm-5", "all", "other")
