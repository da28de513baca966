"""Mistakes in routing.yaml, and what is said about each: file, line, key, and what is wrong.

routing_file.py and provider_file.py are tested here too.
"""

from __future__ import annotations

import json

import pytest

from tests.config.routing_texts import (
    MINIMAL,
    complaint,
    config,
    with_models,
    with_provider,
    with_section,
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # YAML itself
        ("", "1: is empty"),
        ("# nothing\n", "1: is empty"),
        (
            "- a\n",
            "1: must be a mapping of providers, models, fallbacks, routes, failover, pool, ledger, safeguards, "
            "search, prices, users, alerts, ca_bundle, not a list",
        ),
        ("a: b: c\n", "1: not valid YAML: mapping values are not allowed here"),
        (
            "providers:\n  zai:\n    auth: none\n   base_url: x\n",
            "4: not valid YAML: while parsing a block mapping, expected <block end>, but found '<block mapping start>'",
        ),
        (
            MINIMAL + "  *: zai/glm\n",
            "8: not valid YAML: while scanning an alias, expected alphabetic or numeric character, "
            "but found ':' (a name that begins with * needs quotes)",
        ),
        (
            MINIMAL + "\tx: y\n",
            "8: not valid YAML: while scanning for the next token, found character '\\t' that cannot start any token",
        ),
        ("a: 1\nb: \x01\n", "2: not valid YAML: special characters are not allowed (#x0001)"),
        (
            "---\na: 1\n---\nb: 1\n",
            "3: not valid YAML: expected a single document in the stream, but found another document",
        ),
        ("[" * 20_000, "1: not valid YAML: nested too deeply"),
        # The whole file
        ("models: {}\n", "1: providers: is missing"),
        ("providers: {}\n", "1: models: is missing"),
        (with_section("providers: {}"), "8: providers: stands here a second time (first in line 1)"),
        (with_section("fallback: {}"), "8: fallback: unknown key (did you mean fallbacks?)"),
        (with_section("? [a]", ": b"), "8: a key must be a non-empty text"),
        # Providers
        ("providers:\nmodels: {}\n", "1: providers: has no value"),
        ("providers: {}\nmodels: {}\n", "1: providers: names no provider"),
        ("providers: zai\nmodels: {}\n", "1: providers: must be a mapping"),
        (
            MINIMAL.replace("zai", "Z.AI"),
            "2: providers.Z.AI: a provider's name is made of a-z, 0-9 and _, with single - between them",
        ),
        (
            MINIMAL.replace("zai", "z--ai"),
            "2: providers.z--ai: a provider's name is made of a-z, 0-9 and _, with single - between them",
        ),
        (with_provider("auth: none"), "2: providers.zai: base_url is missing"),
        (with_provider("base_url: https://a.example"), "2: providers.zai: auth is missing"),
        (
            with_provider("base_url: https://a.example", "auth: Bearer"),
            "4: providers.zai.auth: must be one of bearer, x-api-key, claude-oauth, none, command "
            "(did you mean bearer?)",
        ),
        (
            with_provider("base_url: https://a.example", "auth: [bearer]"),
            "4: providers.zai.auth: must be a text, not a list",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "format: openai"),
            "5: providers.zai.format: must be one of anthropic, openai-chat (did you mean openai-chat?)",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "thinking: off"),
            "5: providers.zai.thinking: must be one of keep, strip",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "apikey: x"),
            "5: providers.zai.apikey: unknown key (did you mean api_key?)",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "auth: none"),
            "5: providers.zai.auth: stands here a second time (first in line 4)",
        ),
        (
            with_provider("base_url: https://a.example", "auth: bearer"),
            "2: providers.zai: api_key is missing (auth: bearer needs one)",
        ),
        (
            with_provider("base_url: https://a.example", "auth: bearer", "api_key:"),
            "5: providers.zai.api_key: has no value",
        ),
        (
            with_provider("base_url: https://a.example", "auth: bearer", "api_key: two words"),
            "5: providers.zai.api_key: has a space or a character that is not ASCII",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "api_key: ${ZAI_API_KEY}"),
            "5: providers.zai.api_key: has no meaning with auth: none",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "headers: {X Y: z}"),
            "5: providers.zai.headers.X Y: is no name that a header can have",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "headers:", '  X: "a\\nb"'),
            "6: providers.zai.headers.X: has a character that no header can carry",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "betas: one"),
            "5: providers.zai.betas: must be a list, like [one, two]",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "betas:", "  - one", "  - {}"),
            "7: providers.zai.betas[1]: must be a text, not a mapping",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "steps: {metadata: never}"),
            "5: providers.zai.steps.metadata: must be true or false",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "steps: {meta-data: true}"),
            "5: providers.zai.steps.meta-data: unknown key (did you mean metadata?)",
        ),
        (
            with_provider("base_url: https://a.example", "auth: none", "steps:", "  thinking: false"),
            "6: providers.zai.steps.thinking: unknown key (did you mean thinking-off?)",
        ),
        (
            with_provider("base_url: !env URL", "auth: none"),
            "3: providers.zai.base_url: the YAML tag !env has no meaning here",
        ),
        # Models
        ("providers:\n  zai: {base_url: http://a, auth: none}\nmodels:\n", "3: models: has no value"),
        (with_models("{}"), "3: models: names no model"),
        (with_models("glm: glm-5"), "4: models.glm: must be written provider/model"),
        (with_models("glm: zai/"), "4: models.glm: must be written provider/model"),
        (with_models("glm: zia/glm-5"), "4: models.glm: no provider is called zia (did you mean zai?)"),
        (with_models("glm: /glm-5"), "4: models.glm: no provider is called"),
        (with_models("glm: [zai/glm-5]"), "4: models.glm: must be a text, not a list"),
        (with_models("glm:"), "4: models.glm: has no value"),
        (with_models("glm: ' '"), "4: models.glm: has no value"),
        (with_models("glm: zai/*"), "4: models.glm: has a * for which the alias has none"),
        (with_models("g*: zai/*-*"), "4: models.g*: has a * for which the alias has none"),
        (with_models("g*m*: zai/glm"), "4: models.g*m*: has more than one *"),
        (
            with_models("claude-via-glm: zai/glm"),
            "4: models.claude-via-glm: claude-via- is taken off before a name is looked for: leave it out here",
        ),
        (with_models("glm: {provider: zai}"), "4: models.glm: model is missing"),
        (with_models("glm: {model: glm}"), "4: models.glm: provider is missing"),
        (
            with_models("glm:", "  model: glm", "  provider: kimi"),
            "6: models.glm.provider: no provider is called kimi",
        ),
        (
            with_models("glm:", "  provider: zai", "  model: '*'"),
            "6: models.glm.model: has a * for which the alias has none",
        ),
        (
            with_models("glm: {provider: zai, model: glm, context: 1}"),
            "4: models.glm.context: unknown key (did you mean context_window?)",
        ),
        (
            with_models("glm: {provider: zai, model: glm, context_window: 200k}"),
            "4: models.glm.context_window: must be a whole number",
        ),
        (
            with_models("glm: {provider: zai, model: glm, context_window: '1'}"),
            "4: models.glm.context_window: must be a whole number",
        ),
        (
            with_models("glm: {provider: zai, model: glm, max_output_tokens: 0}"),
            "4: models.glm.max_output_tokens: must be at least 1",
        ),
        (
            with_models("glm: {provider: zai, model: glm, price: {input: 1}}"),
            "4: models.glm.price: output is missing",
        ),
        (
            with_models("glm: {provider: zai, model: glm, price: {input: -1, output: 1}}"),
            "4: models.glm.price.input: must be at least 0",
        ),
        # Fallbacks
        (with_section("fallbacks: [glm]"), "8: fallbacks: must be a mapping, not a list"),
        (with_section("fallbacks:", "  glm: glm"), "9: fallbacks.glm: must be a list, like [one, two]"),
        (
            with_section("fallbacks:", "  glm: [gml]"),
            "9: fallbacks.glm[0]: no model is called gml (did you mean glm?)",
        ),
        (
            with_section("fallbacks:", "  glm:", "  - glm", "  - kimi"),
            "11: fallbacks.glm[1]: no model is called kimi",
        ),
        (
            with_section("fallbacks:", "  glm: [g*]"),
            "9: fallbacks.glm[0]: must be the name of one model, without *",
        ),
        (
            with_section("fallbacks:", "  gml: [glm]"),
            "9: fallbacks.gml: no model is asked for by that name (did you mean glm?)",
        ),
        (
            with_section("fallbacks:", "  claude-*: [glm]"),
            "9: fallbacks.claude-*: no model is asked for by that name",
        ),
        (with_section("fallbacks:", "  g*l*: [glm]"), "9: fallbacks.g*l*: has more than one *"),
        (
            with_models("glm: zai/glm", "zai/*: zai/*") + "fallbacks: {glm: [zai/]}\n",
            "6: fallbacks.glm[0]: no model is called zai/ (did you mean zai/*?)",
        ),
        # Failover and pool
        (with_section("failover: {holds: 1}"), "8: failover.holds: unknown key (did you mean hold?)"),
        (with_section("failover:", "  hold: -1"), "9: failover.hold: must be at least 0"),
        (with_section("failover: {hold: .nan}"), "8: failover.hold: must be a number"),
        (with_section("failover: {hold: nan}"), "8: failover.hold: must be a finite number"),
        (with_section("failover: {hold: true}"), "8: failover.hold: must be a number"),
        (with_section("failover: {hold: 5s}"), "8: failover.hold: must be a number"),
        (with_section("failover: {hold: \u0663}"), "8: failover.hold: must be a number"),
        (with_section("failover: {hold: }"), "8: failover.hold: has no value"),
        (with_section("failover: {retries: 1.5}"), "8: failover.retries: must be a whole number"),
        (with_section("failover: {retries: -1}"), "8: failover.retries: must be at least 0"),
        (with_section("failover: {max_attempts: 0}"), "8: failover.max_attempts: must be at least 1"),
        (with_section("ledger: 90"), "8: ledger: must be a mapping of keep_days"),
        (with_section("ledger: {keep_days: 0}"), "8: ledger.keep_days: must be at least 1"),
        (with_section("safeguards: off"), "8: safeguards: must be a mapping of model, timeout"),
        (
            with_section("safeguards: {model: gml}"),
            "8: safeguards.model: must be same, off or the name of a model (did you mean glm?)",
        ),
        (with_section("prices: 1"), "8: prices: must be a mapping of multiplier, unknown"),
        (with_section("prices: {multiplier: -1}"), "8: prices.multiplier: must be at least 0"),
        (with_section("prices: {unknown: {input: 5}}"), "8: prices.unknown: output is missing"),
        (
            with_section("users: 1"),
            "8: users: must be a mapping of timezone, budget, requests_per_minute, sessions, models, message",
        ),
        (with_section("users: {budget: 20}"), "8: users.budget: must be a mapping of day, week, month"),
        (with_section("users: {budget: {year: 20}}"), "8: users.budget.year: unknown key"),
        (with_section("users: {budget: {day: -1}}"), "8: users.budget.day: must be at least 0"),
        (with_section("users: {requests_per_minute: 0}"), "8: users.requests_per_minute: must be at least 1"),
        (with_section("users: {sessions: 0}"), "8: users.sessions: must be at least 1"),
        (with_section('users: {models: "a*b*"}'), "8: users.models: has more than one *"),
        (
            with_section("users: {models: claude-via-glm}"),
            "8: users.models: would allow nothing: claude-via-NAME is called NAME here",
        ),
        (with_section("alerts: {at: 1}"), "8: alerts: webhook: is missing"),
        (
            with_section("alerts: {webhook: example.com}"),
            "8: alerts.webhook: must be an address, as https://example.com/hook",
        ),
        (with_section('alerts: {webhook: "${HOOK}"}'), "8: alerts.webhook: HOOK is not set"),
        (
            with_section("alerts:", "  webhook: https://example.com", "  at: [0.5, 1.2]"),
            "10: alerts.at[1]: must be a share of a budget: more than 0, at most 1",
        ),
        (
            with_section("users: {timezone: Berlin}"),
            "8: users.timezone: must be the name of a time zone, as Europe/Berlin or UTC",
        ),
        (with_section("safeguards: {timeout: 0}"), "8: safeguards.timeout: must be more than 0"),
        (with_section("pool: session"), "8: pool: must be a mapping of strategy"),
        (
            with_section("pool: {strategy: round-robin}"),
            "8: pool.strategy: must be one of session, drain, request",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(text: str, message: str) -> None:
    assert complaint(text) == f"routing.yaml:{message}"


@pytest.mark.parametrize("value", ["${", "${}", "${A-B}", "x${A", "${1A}", "${A:-b}", "${ A }", "${${A}}"])
def test_a_malformed_variable(value: str) -> None:
    text = with_provider("base_url: https://a.example", "auth: bearer", f"api_key: '{value}'")
    message = "a variable is written ${NAME}: letters, digits and _ only, closed by }"
    assert complaint(text) == f"routing.yaml:5: providers.zai.api_key: {message}"


def test_a_variable_without_braces() -> None:
    text = with_provider("base_url: https://a.example", "auth: bearer", "api_key: $ZAI_API_KEY")
    message = "a variable is written with braces: ${NAME}"
    assert complaint(text) == f"routing.yaml:5: providers.zai.api_key: {message}"


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("api.z.ai", "must be an address that begins with http:// or https://"),
        ("ftp://a.example", "must be an address that begins with http:// or https://"),
        ("https://", "must be an address that begins with http:// or https://"),
        ("https:///v1", "must be an address that begins with http:// or https://"),
        ("https://a.example:port", "must be an address that begins with http:// or https://"),
        ("https://a.example:99999", "must be an address that begins with http:// or https://"),
        ("https://[::1", "must be an address that begins with http:// or https://"),
        ("https://a\x01.example", "must be an address that begins with http:// or https://"),
        ("https://a b.example", "must be an address that begins with http:// or https://"),
        ("https://ä.example", "must be an address that begins with http:// or https://"),
        ("https://a.example?x=1", "must be an address without ?query, #fragment and user@"),
        ("https://user:pass@a.example", "must be an address without ?query, #fragment and user@"),
        ("https://a.example/v1", "must not end in /v1: the gateway adds that itself"),
        ("https://a.example/v1/messages/", "must not end in /v1/messages: the gateway adds that itself"),
    ],
)
def test_a_base_url_that_is_none(base_url: str, message: str) -> None:
    text = with_provider(f"base_url: {json.dumps(base_url)}", "auth: none")
    assert complaint(text) == f"routing.yaml:3: providers.zai.base_url: {message}"


def test_a_base_url_of_chat_completions_may_end_in_v1_but_not_in_the_endpoint() -> None:
    def text(base_url: str) -> str:
        return with_provider(f"base_url: {base_url}", "auth: none", "format: openai-chat")

    assert config(text("http://localhost:11434/v1")).providers["zai"].path == "/v1"
    message = "must not end in /chat/completions: the gateway adds that itself"
    assert complaint(text("http://a.example/v1/chat/completions")).endswith(message)
