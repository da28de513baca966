"""Translator: Anthropic Messages ↔ OpenAI Chat Completions, for targets with `format: openai-chat`.

What is said on either wire is `wire/chat/request.py` and `wire/chat/answer.py`; this addon puts the translated body and
path on the flow, and installs the reader that gives the client Anthropic's events.
"""

from __future__ import annotations

from dataclasses import replace

from mitmproxy import http

from addons.proxy.request_head import put_path
from addons.state.attempt import Outcome, Translation
from addons.state.exchange import Exchange, Trying, exchange_of
from addons.wire.answer_reader import AnswerReader
from addons.wire.errors import BadRequest, ProviderError
from addons.wire.safeguards.held_answer import HeldAnswer
from addons.wire.steps.context import Context
from addons.wire.steps.few_tokens import few_tokens
from addons.wire.steps.max_tokens import max_tokens
from addons.wire.token_estimate import estimate_request

PATH = "/chat/completions"


class Translator:
    """Body and path on the way out, the reader on the way back."""

    def attempt(self, trying: Trying) -> None:
        attempt, target, exchange = trying.attempt, trying.target, trying.exchange
        if attempt.draft is None or target is None or target.provider.format != "openai-chat":
            return
        if trying.flow.response or attempt.instead:
            return  # answered without a provider
        from addons.wire.chat.request import to_chat  # half of the gateways have no such target

        provider = target.provider
        options = provider.dialect(target.model)
        rules = options.thinking_rules
        if rules.by_default and not rules.off:  # no field is known that turns it off
            rules = replace(rules, can_be_off=False)
        context = Context(
            provider=provider.name, is_anthropic=False, max_output_tokens=target.max_output_tokens, rules=rules
        )
        for name, step in (("few-tokens", few_tokens), ("max-tokens", max_tokens)):
            if line := step(attempt.draft, context):
                exchange.note(name, line)
        try:
            chat = to_chat(
                attempt.draft,
                provider=provider.name,
                model=target.model,
                stream=exchange.stream and not attempt.whole,
                options=options,
                fields=target.body,
            )
        except BadRequest as error:
            attempt.skip(ProviderError(400, "invalid_request_error", str(error)))
            return
        attempt.draft, attempt.translation = None, Translation(chat)
        trying.flow.request.data.content = chat.body
        put_path(trying.flow.request, attempt.credential, provider, provider.path + PATH)
        exchange.note("translator", f"Messages → Chat Completions, {len(chat.body):,} bytes")
        for note in chat.notes:
            exchange.note("translator", note)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        exchange = exchange_of(flow)
        attempt = exchange.attempt if exchange else None
        if exchange is None or attempt is None or attempt.translation is None or flow.response is None:
            return
        if not 200 <= flow.response.status_code < 300:
            return
        try:
            attempt.answer = reader(exchange, attempt.translation, flow.response)
        except ValueError as error:
            attempt.outcome = Outcome("invalid", ProviderError(502, "api_error", str(error)))

    def response(self, flow: http.HTTPFlow) -> None:
        self.tell_oddities(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self.tell_oddities(flow)

    def tell_oddities(self, flow: http.HTTPFlow) -> None:
        """Note in the trail what had to be changed in the answer, now that it is at its end."""
        exchange = exchange_of(flow)
        if exchange and exchange.attempt and exchange.attempt.translation:
            for line in exchange.attempt.translation.oddities:
                exchange.note("translator", line)


def reader(exchange: Exchange, translation: Translation, response: http.Response) -> AnswerReader:
    """The reader for a 2xx. Raises ValueError for a content-encoding nobody can read."""
    from addons.wire.chat.answer import ChatAnswer
    from addons.wire.chat.whole_answer import message_from_chat

    attempt, chat = exchange.attempts[-1], translation.request
    target, body = attempt.target, exchange.body
    assert target and body
    provider = target.provider
    answer = ChatAnswer(
        chat.asked,
        model=target.model,
        seed=f"{exchange.request_id}_{attempt.number}",
        input_estimate=estimate_request(body.fields),
        strip_thinking=provider.thinking == "strip",
    )
    translation.oddities = answer.notes
    held = exchange.attempts[-1].check is not None
    return (HeldAnswer if held else AnswerReader)(
        stream=exchange.stream,
        events=answer,
        complete=lambda whole: message_from_chat(whole, answer, provider.name),  # then no event was ever fed to it
        content_encoding=response.headers.get("content-encoding", ""),
    )
