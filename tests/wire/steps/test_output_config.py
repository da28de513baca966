"""What becomes of `output_config` on its way to other providers."""

from __future__ import annotations

from typing import Any

import pytest

from addons.wire.steps.output_config import in_words, output_config
from addons.wire.thinking_rules import ThinkingRules
from tests.client_messages import text
from tests.wire.bodies import ZAI, request, run

SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
FORMAT = {"type": "json_schema", "schema": SCHEMA}
WORDS = text(in_words(SCHEMA))
BOTH = ZAI._replace(output_config=frozenset({"effort", "format"}))
EFFORT = ZAI._replace(output_config=frozenset({"effort"}))


@pytest.mark.parametrize("given", [{"output_config": {"format": FORMAT}}, {"output_format": FORMAT}])
@pytest.mark.parametrize(
    ("system", "told"),
    [
        ({}, [WORDS]),
        ({"system": None}, [WORDS]),
        ({"system": ""}, [WORDS]),
        ({"system": "Be brief."}, [text("Be brief."), WORDS]),
        ({"system": [text("Be brief.")]}, [text("Be brief."), WORDS]),
        ({"system": []}, [WORDS]),
    ],
)
def test_a_schema_that_nobody_takes_is_told_in_words(given: Any, system: Any, told: Any):
    line, sent = run(output_config, request("hi", **system, **given))
    assert sent == request("hi", system=told)
    name = "output_format" if "output_format" in given else "output_config"
    assert line == f"asked for the answer's schema in words, dropped {name}"


def test_a_provider_gets_what_it_takes():
    body = request("hi", output_config={"effort": "high", "format": FORMAT, "task_budget": {"total": 5}})
    line, sent = run(output_config, body, BOTH)
    assert sent == request("hi", output_config={"effort": "high", "format": FORMAT})
    assert line == "dropped output_config.task_budget"
    line, sent = run(output_config, body, EFFORT)
    assert sent == request("hi", output_config={"effort": "high"}, system=[WORDS])
    assert line == "asked for the answer's schema in words, dropped output_config.format, output_config.task_budget"


def test_effort_is_told_in_the_providers_word():
    rules = ThinkingRules(efforts={"medium": "high", "xhigh": "max"})
    for word, told in [("low", "low"), ("medium", "high"), ("xhigh", "max")]:
        line, sent = run(output_config, request("hi", output_config={"effort": word}), EFFORT._replace(rules=rules))
        assert sent["output_config"] == {"effort": told}
        assert line == (f"effort {word} → {told}" if word != told else None)


def test_what_it_takes_whole_keeps_its_bytes():
    line, _ = run(output_config, request("hi", output_config={"effort": "high", "format": FORMAT}), BOTH)
    assert line is None


def test_the_older_field_becomes_the_newer_one():
    line, sent = run(output_config, request("hi", output_format=FORMAT, output_config={"effort": "low"}), BOTH)
    assert sent == request("hi", output_config={"effort": "low", "format": FORMAT})
    assert line == "output_format became output_config.format"


@pytest.mark.parametrize(
    "config",
    [{}, None, "x", {"effort": "high"}, {"format": "json"}, {"format": {"type": "json_schema", "schema": "x"}}],
)
def test_without_a_schema_nothing_is_said(config: Any):
    line, sent = run(output_config, request("hi", output_config=config))
    assert (line, sent) == ("dropped output_config", request("hi"))
