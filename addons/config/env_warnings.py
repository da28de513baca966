"""Mistakes in .env that keep nothing from working, and that nobody would find without being told.

Rules of this file: pure; each mistake is one line that says what to do; no value of a variable is in any.
"""

from __future__ import annotations

import difflib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from dotenv.parser import Binding, parse_stream

from addons.config.environment import token_parts, unquoted
from addons.config.variables import VARIABLE

GATEWAYS_OWN = (
    *("CLAUDE_OAUTH_TOKENS", "CLAUDE_CREDENTIALS", "CLAUDE_TOKEN_MODE"),
    *("PROXY_STATIC_TOKEN", "LITELLM_MASTER_KEY", "GATEWAY_REDIS_URL"),
)
"""The variables that the gateway itself reads."""

CLOSE = 0.8
"""How alike two names must be (difflib's ratio) for one to be a misspelling of the other: `ZAI_API_KEI` is,
`GROQ_API_KEY` isn't."""


def env_warnings(text: str, env: Mapping[str, str], routing: str, *, filename: str) -> tuple[str, ...]:
    """The mistakes of a .env with this text, one line each.

    env: all variables, those of the process over those of the file. routing: the text of routing.yaml, and of the
    presets in it, which name the variables that are read.
    """
    used = {*GATEWAYS_OWN, *VARIABLE.findall(routing)}
    lines = [*unread_lines(text), *misspelt(text, env, used), *odd_tokens(env)]
    return tuple(f"{filename}: {line}" if line.startswith("line ") else line for line in lines)


def unread_lines(text: str) -> Iterator[str]:
    """The lines that mean nothing."""
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            yield f"line {line_of(binding)} is not read: a line is NAME=value, and a comment begins with #"


def line_of(binding: Binding) -> int:
    """The number of the line in which a variable stands: what python-dotenv takes for one begins with the empty lines
    before it."""
    whole: str = binding.original.string
    lead = whole[: len(whole) - len(whole.lstrip())]
    return binding.original.line + lead.count("\n")


def misspelt(text: str, env: Mapping[str, str], used: set[str]) -> Iterator[str]:
    """The names that nothing reads and that look like one which is read and not set."""
    missing = [name for name in sorted(used) if not unquoted(env.get(name, ""))]
    for binding in parse_stream(io.StringIO(text)):
        if binding.key and binding.value and binding.key not in used:
            for name in difflib.get_close_matches(binding.key.upper(), missing, 1, CLOSE):
                yield f"line {line_of(binding)}: {binding.key} is read by nothing: did you mean {name}?"


def odd_tokens(env: Mapping[str, str]) -> Iterator[str]:
    """What is odd about CLAUDE_OAUTH_TOKENS, and the mode that goes with it."""
    tokens = token_parts(unquoted(env.get("CLAUDE_OAUTH_TOKENS", "")))
    for number, token in enumerate(tokens, 1):
        if re.match(r"sk-ant-api\d", token):
            yield (
                f"CLAUDE_OAUTH_TOKENS: token {number} is an API key; `claude setup-token` makes a token "
                "(sk-ant-oat…). A key belongs into a provider with auth: x-api-key"
            )
    for token, times in Counter(tokens).items():
        if times > 1:
            places = [str(number) for number, one in enumerate(tokens, 1) if one == token]
            yield f"CLAUDE_OAUTH_TOKENS: tokens {' and '.join(places)} are the same; it is used once"
    files = unquoted(env.get("CLAUDE_CREDENTIALS", ""))
    if not tokens and not files and unquoted(env.get("CLAUDE_TOKEN_MODE", "")).lower() == "rotate":
        yield "CLAUDE_TOKEN_MODE is rotate, but CLAUDE_OAUTH_TOKENS is empty: each client's own login is used"
