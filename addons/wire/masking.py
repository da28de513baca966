"""Secrets in texts: what is shown of one, and how a text is freed of them.

Everything that a person or a file may see (logs, trail, views, errors, the database) goes through here. The
wire does not: there the flow holds a masked credential, and the real one is put into a copy of the head.

Rules that hold here:
- Of a secret at most its public prefix (`sk-ant-oat01`: what kind it is) and its last 4 characters are shown.
- Masking a masked text changes nothing.
- A known secret is known in whatever spelling JSON has for it, in strings inside of strings too, whether or not what
  stands around it is JSON. What is spelt more often than anybody would is left out.
- What looks like a credential is masked although nobody knows it. Words are no credentials: `api_key: unknown key`
  stays as it is.
- Linear time: once a pattern has gone through a run of characters it takes it, whatever stands behind. What is masked
  already is told afterwards (`masked_match`).
"""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

ELLIPSIS: Final = "…"
# A shorter one is no secret, and replacing it everywhere would tear texts apart.
SHORTEST_SECRET: Final = 6
# Of a shorter one, four characters would be too much of it.
SHORTEST_WITH_TAIL: Final = 16

CREDENTIAL_HEADERS: Final = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "x-litellm-api-key",
        "x-goog-api-key",
        "x-auth-token",
        "x-amz-security-token",
        "cf-access-client-secret",
        "cookie",
        "set-cookie",
    }
)
CREDENTIAL_ENDINGS: Final = ("-api-key", "-token", "-secret", "-authorization")

SCHEME: Final = re.compile(r"(?:bearer|basic|token) +", re.IGNORECASE)
# Of a key of ours half of the public id, so that people know it again: `gw-abcd`.
KIND: Final = re.compile(
    r"sk-(?:ant-[a-z]{3}\d\d|or-v\d|proj|kimi)(?=-)|(?:sk|gsk|xai)(?=[-_])|gw-[a-z2-7]{4}(?=[a-z2-7]{4}-)"
)
_BARE_KIND: Final = re.sub(r"\(\?=(?:[^()])*\)", "", KIND.pattern)
# What `mask` leaves before the ellipsis.
MASKED_LEAD: Final = re.compile(rf"(?:(?i:{SCHEME.pattern}))?+(?:{_BARE_KIND})?+")


def is_credential_header(name: str) -> bool:
    """Whether a header of this name (any case) carries a credential."""
    name = name.lower()
    return name in CREDENTIAL_HEADERS or name.endswith(CREDENTIAL_ENDINGS)


def mask(secret: str) -> str:
    """What may be shown of a secret or a header's value: `Bearer sk-ant-oat01…3f9a`, `…` when it is short."""
    scheme = SCHEME.match(secret)
    lead = scheme[0] if scheme else ""
    kind = KIND.match(secret, len(lead))
    lead += kind[0] if kind else ""
    rest = secret[len(lead) :].strip()
    return lead + ELLIPSIS + (rest[-4:] if len(rest) >= SHORTEST_WITH_TAIL else "")


# The end of a header's or field's name is enough: `x-litellm-api-key` needs no word of its own.
NAMES: Final = r"authorization|api[-_]?key|(?:auth|access|refresh|security|id)[-_]token|(?:client|access)[-_]secret"
# After a name: `: `, `=`, `": "` or, between the texts of a header tuple, `', b'`. Never given back (`?+`),
# else a masked `Bearer …` would be read as the credential "Bearer".
ASSIGNED: Final = r"""(?:\\*+["'])?+\s*+(?:[:=]|(?<=["']),)\s*+(?:b?\\*+["'])?+"""
CREDENTIALS: Final = re.compile(
    r"(?=[abceghirsx])(?:"  # no other letter begins one: most places are left at once
    rf"(?P<name>(?:{NAMES}){ASSIGNED}(?:(?:bearer|basic|token)\s++)?+)(?P<value>[^\s\"',;\\…]++)"
    rf"|(?P<jar>cookie{ASSIGNED})(?P<cookies>[^\r\n\"'\\…]++)"
    r"|(?P<scheme>\bbearer\s++)(?P<token>(?=[\w.~+/=-]*\d|[\w.~+/=-]{16})[\w.~+/=-]++)"
    r"|(?<![A-Za-z0-9])(?P<key>(?:sk-ant-[\w-]{8}|(?:sk|gsk|xai)[-_][\w-]{16}|gw-[a-z2-7]{8}-\w)[\w-]*+)"
    r"|(?<![\w-])(?P<jwt>eyJ[\w-]{8,}+\.eyJ[\w-]++\.[\w-]*+)"
    r")",
    re.IGNORECASE | re.ASCII,
)
# `: unknown` behind a name. What is no word, or stands in quotes or behind `=`, is a value.
WORD: Final = re.compile(r":\s++[a-z]{1,15}+")
# Each credential above holds one of these, and looking for them costs a tenth.
TRACES: Final = ("authorization", "api", "token", "secret", "cookie", "bearer", "sk-", "sk_", "xai", "gw-", "eyj")


def mask_text(text: str, secrets: Iterable[str]) -> str:
    """The text without any of the secrets (of 6 characters or more) and without anything like a credential.

    Credentials are known by their shape (`sk-…`, a JWT), by `Bearer` before them or by the header or field
    that holds them, in headers, JSON and reprs of bytes alike.
    """
    known = masks(tuple(secrets))
    masked = text
    for secret, shown in known:
        if secret in masked:
            masked = masked.replace(secret, shown)
    lowered = masked.lower()
    for trace in TRACES:
        if trace in lowered:
            masked = CREDENTIALS.sub(masked_match, masked)
            break
    if "\\" in masked and known:
        masked = ESCAPED_WORD.sub(lambda word: without_spelt(word[0], known), masked)
    if masked is not text:
        # One secret may lie inside what is shown of another one.
        for secret, _ in known:
            masked = masked.replace(secret, ELLIPSIS)
    return masked


def mask_bytes(data: bytes, secrets: Iterable[str]) -> bytes:
    """The bytes without any of the secrets (of 6 characters or more). What only looks like a credential stays: this is
    for bodies and headers, which are more than text to be read."""
    for secret, shown in masks_in_bytes(tuple(secrets)):
        if data.find(secret) >= 0:  # `in` costs several times as much: it asks first whether that is a number
            data = data.replace(secret, shown)
    return data


def mask_strings(data: bytes, secrets: Iterable[str]) -> bytes:
    """The bytes of a JSON text (or of events that hold one) without any of the secrets, in whatever spelling their
    strings hold them: `\\u0073k-ant-…` says the same as `sk-ant-…`. Strings without a secret keep their bytes."""
    known = tuple(secrets)
    data = mask_bytes(data, known)
    spelt = masks(known)
    if spelt and (data.find(b"\\u") >= 0 or data.find(b"\\/") >= 0 or any(map(_is_escaped, known))):
        data = _STRING.sub(lambda string: _masked_string(string[0], known, MOST_SPELLINGS), data)
        # Where a quotation mark has no other, what is a string and what stands between two is turned round.
        data = _ESCAPED_WORD.sub(lambda word: _without_spelt(word[0], spelt), data)
    return data


def _is_escaped(secret: str) -> bool:
    """Whether JSON has to spell this secret otherwise: it has a quotation mark in it, or a backslash."""
    return json.dumps(secret, ensure_ascii=False) != f'"{secret}"'


# A word with an escape by which a visible character may be spelt: in most words with escapes they are others.
ESCAPED_WORD: Final = re.compile(r'(?<![^\s"])[^\s"\\]*+(?:\\++[^\s"\\/u][^\s"\\]*+)*+\\++[/u][^\s"]*+')
_ESCAPED_WORD: Final = re.compile(ESCAPED_WORD.pattern.encode())

DEEPEST_SPELLING: Final = 8
"""How often a word with escapes is read: a string inside a string inside a string holds two of them."""


def without_spelt(word: str, known: tuple[tuple[str, str], ...]) -> str:
    """A word with escapes, or what is shown of it when it says a secret, or still is no plain word after being read
    often: in that case nobody knows what it says."""
    said = word.rstrip("\\")  # what stands before a quotation mark in a string inside a string
    for _ in range(DEEPEST_SPELLING):
        before, said = said, _ESCAPE.sub(_unescaped, said)
        if said == before:
            return word
        for secret, _shown in known:
            if secret in said:
                return ELLIPSIS + word[len(word.rstrip("\\")) :]
    return ELLIPSIS + word[len(word.rstrip("\\")) :] if "\\u" in said else word


def _without_spelt(word: bytes, known: tuple[tuple[str, str], ...]) -> bytes:
    text = word.decode("utf-8", "surrogateescape")
    found = without_spelt(text, known)
    return word if found == text else to_bytes(found)


MOST_SPELLINGS: Final = 3
"""How often a string is looked for inside another: relays put the whole body of an error into the message of theirs."""

# The last one may have no end: long bodies are cut off.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _masked_string(string: bytes, secrets: tuple[str, ...], spellings: int) -> bytes:
    """A JSON string (its end may be missing) without the secrets in what it says."""
    if string.find(b"\\") < 0:
        return string  # it has been looked at
    said = _ESCAPE.sub(_unescaped, string[1:].removesuffix(b'"').decode("utf-8", "surrogateescape"))
    masked = said
    for secret, shown in masks(secrets):
        if secret in masked:
            masked = masked.replace(secret, shown)
    if spellings and "\\" in masked:
        inner = b'"%b"' % masked.encode("utf-8", "surrogatepass")
        found = _masked_string(inner, secrets, spellings - 1)
        if found is not inner:
            masked = json.loads(found, strict=False)
    return string if masked == said else json.dumps(masked).encode()


def _unescaped(escape: re.Match[str]) -> str:
    """The character that an escape stands for."""
    return chr(int(escape[1], 16)) if escape[1] else _ESCAPES.get(escape[2], escape[2])


@lru_cache(maxsize=64)
def masks(secrets: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """What is looked for, and what is shown of it; the longest first. A client's own credential is among them, else
    they are the same for every request."""
    known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
    return tuple((secret, mask(secret)) for secret in sorted(known, key=len, reverse=True))


@lru_cache(maxsize=64)
def masks_in_bytes(secrets: tuple[str, ...]) -> tuple[tuple[bytes, bytes], ...]:
    """Each secret in every form in which it may stand, and what is shown in its place: `masks`, as bytes."""
    return tuple((to_bytes(secret), to_bytes(shown)) for secret, shown in masks(secrets))


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def masked_match(match: re.Match[str]) -> str:
    """What is shown of a match of `CREDENTIALS`."""
    whole = match[0]
    kind = match.lastgroup or ""
    secret = match[kind]
    before = len(whole) - len(secret)
    shown = mask(secret)
    if match.string.startswith(ELLIPSIS, match.end()) and MASKED_LEAD.fullmatch(secret):
        return whole  # masked already
    if kind == "value" and WORD.fullmatch(whole, whole.find(":") if ":" in whole else before):
        return whole
    return whole[:before] + shown
