"""How Chat Completions providers answer: the same answer in each recorded dialect, as a stream and as JSON.

Written from recordings, field by field, with the quirks that were seen: a translator that is right for all of these
is right for their mixtures. `DIALECTS` is what tests and scripted servers use.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Called:
    """A tool call: the id as the provider would make it."""

    name: str
    arguments: Json
    id: str = ""


@dataclass(frozen=True)
class Said:
    """What a model says in one answer."""

    text: str = ""
    thinking: str = ""
    calls: Sequence[Called] = ()
    finish: str = "stop"
    prompt: int = 120
    cached: int = 30
    completion: int = 17

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.calls and self.finish == "stop" else self.finish


def pieces(text: str, size: int = 5) -> list[str]:
    """A text as tokens come: a few characters at a time."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def chunk(delta: Json | None, finish: str | None = None, **more: Any) -> Json:
    """One chunk as OpenAI writes it; without `delta` in it where that is None."""
    choice: Json = {"index": 0, "finish_reason": finish}
    if delta is not None:
        choice["delta"] = delta
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }


def usage_chunk(usage: Json, **more: Any) -> Json:
    return chunk(None, **more) | {"choices": [], "usage": usage}


def usage(said: Said) -> Json:
    return {
        "prompt_tokens": said.prompt,
        "completion_tokens": said.completion,
        "total_tokens": said.prompt + said.completion,
        "prompt_tokens_details": {"cached_tokens": said.cached},
    }


def plain_usage(said: Said, **more: Any) -> Json:
    counted = usage(said)
    del counted["prompt_tokens_details"]
    return counted | more


def arguments(call: Called) -> str:
    return json.dumps(call.arguments, ensure_ascii=False)


def whole_calls(said: Said, *, index: bool = True, ids: bool = True) -> list[Json]:
    """The calls as they stand in a JSON message."""
    calls = []
    for number, call in enumerate(said.calls):
        entry: Json = {"type": "function", "function": {"name": call.name, "arguments": arguments(call)}}
        if ids:
            entry["id"] = call.id or f"call_{number}"
        calls.append({"index": number, **entry} if index else entry)
    return calls


def call_deltas(said: Said, *, first: int = 0) -> list[Json]:
    """The calls in pieces, as OpenAI sends them: id and name once, then arguments."""
    deltas = []
    for number, call in enumerate(said.calls, first):
        head = {"index": number, "id": call.id or f"call_{number}", "type": "function"}
        deltas.append({"tool_calls": [{**head, "function": {"name": call.name, "arguments": ""}}]})
        deltas += [
            {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}
            for piece in pieces(arguments(call), 7)
        ]
    return deltas


def openai(said: Said) -> list[Json]:
    return [
        chunk({"role": "assistant", "content": "", "refusal": None}, obfuscation="x1", usage=None),
        *[chunk({"content": piece}, obfuscation="y", usage=None) for piece in pieces(said.text)],
        *[chunk(delta, usage=None) for delta in call_deltas(said)],
        chunk({}, said.finish_reason, usage=None),
        usage_chunk(usage(said)),
    ]


def azure(said: Said) -> list[Json]:
    filters = [{"prompt_index": 0, "content_filter_results": {}}]
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": filters}
    return [first, *openai(said)]


def openrouter(said: Said) -> list[Json]:
    def thought(text: str) -> Json:
        detail = {"type": "reasoning.text", "text": text, "index": 0, "format": "anthropic-claude-v1"}
        return {"role": "assistant", "content": "", "reasoning": text, "reasoning_details": [detail]}

    signature = {"type": "reasoning.text", "signature": "SIG/+==", "index": 0, "format": "anthropic-claude-v1"}
    signed = {"role": "assistant", "content": "", "reasoning": None, "reasoning_details": [signature]}
    deltas = [thought(piece) for piece in pieces(said.thinking)]
    deltas += [signed] if said.thinking else []
    deltas += [{"role": "assistant", "content": piece} for piece in pieces(said.text)]
    deltas += [{"role": "assistant", "content": None, **delta} for delta in call_deltas(said)]
    end = chunk({"role": "assistant", "content": ""}, said.finish_reason, provider="Anthropic")
    return [*[chunk(delta, provider="Anthropic") for delta in deltas], end, end | {"usage": usage(said)}]


def openrouter_encrypted(said: Said) -> list[Json]:
    """OpenAI's models there: the reasoning as a summary, and what is behind it encrypted."""

    def summary(text: str) -> Json:
        detail = {"type": "reasoning.summary", "summary": text, "index": 0, "format": "openai-responses-v1"}
        return {"role": "assistant", "content": "", "reasoning": text, "reasoning_details": [detail]}

    hidden = {
        "type": "reasoning.encrypted",
        "data": "gAAAA=",
        "id": "rs_1",
        "index": 0,
        "format": "openai-responses-v1",
    }
    deltas = [summary(piece) for piece in pieces(said.thinking)]
    deltas += [{"content": piece} for piece in pieces(said.text)]
    deltas += [{"content": "", "reasoning_details": [hidden]}]
    deltas += call_deltas(said)
    return [*map(chunk, deltas), chunk({"content": ""}, said.finish_reason), usage_chunk(usage(said))]


def details_only(said: Said) -> list[Json]:
    """Reasoning nowhere but in `reasoning_details`."""
    deltas: list[Json] = [
        {"reasoning_details": [{"type": "reasoning.text", "text": piece}]} for piece in pieces(said.thinking)
    ]
    deltas += [{"content": piece} for piece in pieces(said.text)]
    return [*map(chunk, [*deltas, *call_deltas(said)]), chunk({}, said.finish_reason, usage=usage(said))]


def groq(said: Said) -> list[Json]:
    """A new id for each chunk, reasoning in a channel, usage in a field of its own."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning": piece, "channel": "analysis"} for piece in pieces(said.thinking)]
    deltas += [{"content": piece} for piece in pieces(said.text)]
    deltas += [{"tool_calls": whole_calls(said)}] if said.calls else []
    chunks = [chunk(delta, id=f"chatcmpl-{number}") for number, delta in enumerate(deltas)]
    return [*chunks, chunk({}, said.finish_reason, x_groq={"id": "req_1", "usage": usage(said)})]


def mistral(said: Said) -> list[Json]:
    """Content in parts while it thinks; calls without index and type, in one piece with the finish_reason."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}], "closed": True}]}
        for piece in pieces(said.thinking)
    ]
    told = pieces(said.text)
    if said.thinking and told:
        deltas.append({"content": [{"type": "text", "text": told.pop(0)}]})
    deltas += [{"content": piece} for piece in told]
    calls = [
        {"id": call.id or f"abcdefgh{number}", "function": {"name": call.name, "arguments": arguments(call)}}
        for number, call in enumerate(said.calls)
    ]
    end: Json = {"content": "", "tool_calls": calls} if calls else {"content": ""}
    counted = plain_usage(said, num_cached_tokens=said.cached)
    return [*[chunk(delta, p="abc") for delta in deltas], chunk(end, said.finish_reason, usage=counted)]


def deepseek(said: Said) -> list[Json]:
    deltas: list[Json] = [{"role": "assistant", "content": None, "reasoning_content": ""}]
    deltas += [{"content": None, "reasoning_content": piece} for piece in pieces(said.thinking)]
    deltas += [{"content": piece, "reasoning_content": None} for piece in pieces(said.text)]
    deltas += call_deltas(said)
    counted = plain_usage(said, prompt_cache_hit_tokens=said.cached, prompt_cache_miss_tokens=said.prompt - said.cached)
    return [*[chunk(delta) for delta in deltas], chunk({"content": ""}, said.finish_reason, usage=counted)]


def kimi(said: Said) -> list[Json]:
    """Ids like functions.Bash:0, usage inside the choice and once more at the end."""
    named = [Called(call.name, call.arguments, f"functions.{call.name}:{n}") for n, call in enumerate(said.calls)]
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in pieces(said.thinking)]
    deltas += [{"content": piece} for piece in pieces(said.text)]
    deltas += call_deltas(Said(calls=named))
    counted = plain_usage(said, cached_tokens=said.cached)
    end = chunk({}, said.finish_reason)
    end["choices"][0]["usage"] = counted
    return [*[chunk(delta) for delta in deltas], end, usage_chunk(counted)]


def indexless(said: Said) -> list[Json]:
    """Kimi's other way: parallel calls opened together, continued by their place in the list."""
    opened = [
        {"id": call.id or f"{call.name}_{number}", "type": "function", "function": {"name": call.name, "arguments": ""}}
        for number, call in enumerate(said.calls)
    ]
    longest = max((len(pieces(arguments(call))) for call in said.calls), default=0)
    turns = [[*pieces(arguments(call)), *[""] * longest][:longest] for call in said.calls]
    deltas: list[Json] = [{"content": piece} for piece in pieces(said.text)]
    deltas += [{"tool_calls": opened}] if opened else []
    deltas += [
        {"tool_calls": [{"function": {"arguments": piece}} for piece in row]} for row in zip(*turns, strict=True)
    ]
    return [*map(chunk, deltas), chunk({}, said.finish_reason), usage_chunk(usage(said))]


def interleaved(said: Said) -> list[Json]:
    """Parallel calls in turn, numbered from 1."""
    streams = [call_deltas(Said(calls=[call]), first=n) for n, call in enumerate(said.calls, 1)]
    deltas: list[Json] = [{"content": piece} for piece in pieces(said.text)]
    for number in range(max(map(len, streams), default=0)):
        deltas += [stream[number] for stream in streams if number < len(stream)]
    return [*map(chunk, deltas), chunk({}, said.finish), usage_chunk(usage(said))]


def ollama(said: Said) -> list[Json]:
    """Calls whole, all with index 0, and `stop` though there were some."""
    deltas: list[Json] = [{"role": "assistant", "content": "", "reasoning": piece} for piece in pieces(said.thinking)]
    deltas += [{"role": "assistant", "content": piece} for piece in pieces(said.text)]
    deltas += [
        {"role": "assistant", "content": "", "tool_calls": [{"index": 0, **entry}]}
        for entry in whole_calls(said, index=False)
    ]
    end = chunk({"role": "assistant", "content": ""}, "stop" if said.calls else said.finish_reason)
    return [*[chunk(delta) for delta in deltas], end, usage_chunk(usage(said))]


def gemini(said: Said) -> list[Json]:
    """No ids, no index, no finish_reason on the way; thinking in a tag."""
    thought = pieces(f"<thought>{said.thinking}") if said.thinking else []
    text = f"</thought>{said.text}" if said.thinking else said.text
    deltas: list[Json] = [
        {"content": piece, "extra_content": {"google": {"thought": True}}, "role": "assistant"} for piece in thought
    ]
    deltas += [{"content": piece, "role": "assistant"} for piece in pieces(text, 12)]
    if said.calls:
        deltas.append({"role": "assistant", "tool_calls": whole_calls(said, index=False, ids=False)})
    chunks: list[Json] = [{"choices": [{"delta": delta, "index": 0}], "created": 1, "model": "m"} for delta in deltas]
    return [*chunks, chunk({}, said.finish_reason if said.finish == "length" else None), usage_chunk(usage(said))]


def minimax(said: Said) -> list[Json]:
    """Thinking inside content; every chunk says how well it goes."""
    tags = f"<think>\n{said.thinking}\n</think>\n\n" if said.thinking else ""
    deltas: list[Json] = [{"content": piece, "role": "assistant"} for piece in pieces(tags + said.text, 3)]
    fine: Json = {"input_sensitive": False, "base_resp": {"status_code": 0, "status_msg": ""}}
    chunks = [chunk(delta, usage=None, **fine) for delta in [*deltas, *call_deltas(said)]]
    return [*chunks, chunk({}, said.finish_reason, **fine), usage_chunk(usage(said), **fine)]


def perplexity(said: Said) -> list[Json]:
    """All that was said so far in `message`, usage on every chunk, no finish_reason until the last."""
    tags = f"<think>{said.thinking}</think>" if said.thinking else ""
    so_far, chunks = "", []
    for number, piece in enumerate(pieces(tags + said.text, 4)):
        so_far += piece
        choice = {"index": 0, "message": {"role": "assistant", "content": so_far}, "delta": {"content": piece}}
        chunks.append({"id": "1", "usage": plain_usage(said) | {"completion_tokens": number}, "choices": [choice]})
    choice = {"index": 0, "message": {"role": "assistant", "content": so_far}, "delta": {"content": ""}}
    end = {"id": "1", "usage": plain_usage(said), "choices": [choice | {"finish_reason": said.finish_reason}]}
    return [*chunks, end]


def vllm(said: Said) -> list[Json]:
    """Usage with every chunk, a new id with every piece of a call, a piece without arguments."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning": piece, "reasoning_content": piece} for piece in pieces(said.thinking)]
    deltas += [{"content": piece} for piece in pieces(said.text)]
    for number, call in enumerate(said.calls):
        head = {"index": number, "id": f"chatcmpl-tool-{number}", "type": "function"}
        deltas.append({"tool_calls": [{**head, "function": {"name": call.name}}]})
        deltas += [
            {"tool_calls": [{"index": number, "id": f"chatcmpl-tool-{number}-{at}", "function": {"arguments": piece}}]}
            for at, piece in enumerate(pieces(arguments(call)))
        ]
    chunks = [chunk(delta, usage=usage(said) | {"completion_tokens": n}) for n, delta in enumerate(deltas)]
    end = chunk({"content": ""}, said.finish_reason, usage=usage(said))
    end["choices"][0]["stop_reason"] = None
    return [*chunks, end, usage_chunk(usage(said))]


def zai(said: Said) -> list[Json]:
    """Name and id repeated with every piece, `""` for what is not there."""
    deltas: list[Json] = [{"role": "assistant", "reasoning_content": piece} for piece in pieces(said.thinking)]
    deltas += [{"role": "assistant", "content": piece, "reasoning_content": ""} for piece in pieces(said.text)]
    for number, call in enumerate(said.calls):
        for at, piece in enumerate(["", *pieces(arguments(call)), ""]):
            repeated = at % 2 == 0
            function = {"name": call.name if repeated else "", "arguments": piece}
            call_id = (call.id or f"call_{number}") if repeated else ""
            deltas.append({"role": "assistant", "tool_calls": [{"index": number, "id": call_id, "function": function}]})
    end = chunk({"role": "assistant", "content": ""}, said.finish_reason, usage=usage(said))
    return [*[chunk(delta) for delta in deltas], end]


def xai(said: Said) -> list[Json]:
    """No finish_reason but in the last chunk, calls in one piece."""
    deltas: list[Json] = [{"reasoning_content": piece} for piece in pieces(said.thinking)]
    deltas += [{"content": piece} for piece in pieces(said.text)]
    deltas += [{"tool_calls": [entry]} for entry in whole_calls(said)]
    chunks: list[Json] = [{"id": "1", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return [*chunks, chunk({}, said.finish_reason), usage_chunk(usage(said))]


def databricks(said: Said) -> list[Json]:
    """A chunk without delta, numbers that are null, cached tokens under Anthropic's name; two finish_reasons."""
    nothing = dict.fromkeys(usage(said))
    counted = plain_usage(said, cache_read_input_tokens=said.cached, cache_creation_input_tokens=0)
    deltas: list[Json] = [{"content": [{"type": "text", "text": piece}]} for piece in pieces(said.text)]
    chunks = [chunk(delta, usage=nothing) for delta in [*deltas, *call_deltas(said)]]
    end = said.finish_reason
    return [chunk(None), *chunks, chunk({}, end, usage=counted), chunk({"content": None}, end, usage=nothing)]


def legacy(said: Said) -> list[Json]:
    """`function_call`, from before there were `tool_calls`: at most one."""
    deltas: list[Json] = [{"role": "assistant", "content": piece} for piece in pieces(said.text)]
    for call in said.calls[:1]:
        deltas.append({"function_call": {"name": call.name, "arguments": ""}})
        deltas += [{"function_call": {"arguments": piece}} for piece in pieces(arguments(call))]
    return [*map(chunk, deltas), chunk({}, "function_call" if said.calls else said.finish)]


def openai_message(said: Said) -> Json:
    message: Json = {"role": "assistant", "content": said.text or None, "refusal": None}
    if said.calls:
        message["tool_calls"] = whole_calls(said, index=False)
    return message


def with_field(name: str) -> Callable[[Said], Json]:
    return lambda said: openai_message(said) | ({name: said.thinking} if said.thinking else {})


def openrouter_message(said: Said) -> Json:
    if not said.thinking:
        return openai_message(said) | {"reasoning": None}
    detail = {"type": "reasoning.text", "text": said.thinking, "signature": "SIG/+==", "index": 0, "format": None}
    return openai_message(said) | {"reasoning": said.thinking, "reasoning_details": [detail]}


def mistral_message(said: Said) -> Json:
    if not said.thinking:
        return openai_message(said)
    thought: list[Json] = [{"type": "thinking", "thinking": [{"type": "text", "text": said.thinking}]}]
    text = [{"type": "text", "text": said.text}] if said.text else []
    return openai_message(said) | {"content": [*thought, *text]}


def tagged_message(said: Said) -> Json:
    tags = f"<think>{said.thinking}</think>" if said.thinking else ""
    return openai_message(said) | {"content": tags + said.text}


@dataclass(frozen=True)
class Dialect:
    """One provider's way to answer."""

    name: str
    chunks: Callable[[Said], list[Json]]
    message: Callable[[Said], Json] = openai_message
    usage: Callable[[Said], Json] = usage
    done: bool = True
    """Ends with [DONE]."""
    head: bytes = b""
    """What comes before the first event."""
    newline: bytes = b"\n"
    line: bytes = b"data: "
    thinks: bool = True
    calls: int = 9
    """The most calls that it can say."""
    cached: bool = True
    """Tells cached tokens."""
    padded: str = ""
    """White space around thinking in tags."""
    tells_usage: bool = True
    content_type: str = "text/event-stream"

    def events(self, said: Said) -> list[bytes]:
        """The stream, event by event."""
        end = self.newline * 2
        data = [json.dumps(chunk, ensure_ascii=False).encode() for chunk in self.chunks(said)]
        data += [b"[DONE]"] if self.done else []
        events = [self.line + piece + end for piece in data]
        return [self.head + events[0], *events[1:]] if self.head else events

    def stream(self, said: Said) -> bytes:
        return b"".join(self.events(said))

    def body(self, said: Said) -> bytes:
        """The JSON answer."""
        choice = {"index": 0, "message": self.message(said), "finish_reason": said.finish_reason}
        answer = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice]}
        return json.dumps(answer | {"usage": self.usage(said)}).encode()

    def can_say(self, said: Said) -> Said:
        """As much of an answer as the dialect has words for."""
        return Said(
            said.text,
            said.thinking if self.thinks else "",
            said.calls[: self.calls],
            said.finish,
            said.prompt,
            said.cached if self.cached else 0,
            said.completion,
        )


PROCESSING = b": OPENROUTER PROCESSING\n\n" * 17

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect("openai", openai, thinks=False),
        Dialect("azure", azure, thinks=False),
        Dialect("openrouter", openrouter, openrouter_message, head=PROCESSING),
        Dialect("openrouter-encrypted", openrouter_encrypted, openrouter_message, head=PROCESSING),
        Dialect("details-only", details_only, openrouter_message),
        Dialect("groq", groq, with_field("reasoning")),
        Dialect("mistral", mistral, mistral_message),
        Dialect("deepseek", deepseek, with_field("reasoning_content"), head=b": keep-alive\n\n"),
        Dialect("kimi", kimi, with_field("reasoning_content")),
        Dialect("indexless", indexless, thinks=False),
        Dialect("interleaved", interleaved, thinks=False),
        Dialect("ollama", ollama, with_field("reasoning"), content_type="application/json"),
        Dialect("gemini", gemini, tagged_message),
        Dialect("minimax", minimax, tagged_message, padded="\n"),
        Dialect(
            "perplexity", perplexity, tagged_message, plain_usage, done=False, newline=b"\r\n", calls=0, cached=False
        ),
        Dialect("vllm", vllm, with_field("reasoning_content"), content_type="text/event-stream;charset=UTF-8"),
        Dialect("zai", zai, with_field("reasoning_content"), line=b"data:"),
        Dialect("xai", xai, with_field("reasoning_content")),
        Dialect("huggingface", openai, done=False, thinks=False),
        Dialect("databricks", databricks, thinks=False, line=b" data: ", newline=b"\n\n"),
        Dialect("legacy", legacy, thinks=False, calls=1, tells_usage=False, done=False),
    )
}
