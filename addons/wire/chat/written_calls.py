"""The notations in which models write tool calls, read as calls.

Rules that hold here: a content is calls and white space from its beginning to its end, or it is none (ValueError);
what could be calls if it went on is told apart (Unfinished); the tools must be the request's; linear time.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from addons.wire.chat.tools import meant

Json = dict[str, Any]


class Tools(NamedTuple):
    """What a model can call."""

    names: Collection[str]
    parameters: Mapping[str, Any]
    """The schema of each one's parameters: notations without JSON don't tell a number from a text."""


class WrittenCall(NamedTuple):
    """One call that was read."""

    name: str
    arguments: Json | str
    id: str = ""


class Unfinished(ValueError):
    """The content ends within a value: the mark behind it belongs to the value."""


_SPACE: Final = re.compile(r"\s*+")
_decode: Final = json.JSONDecoder(strict=False).raw_decode

_MISTRAL_NAME: Final = re.compile(r"([a-zA-Z0-9_-]{1,128}+)(?:\[CALL_ID\]([^\[]{0,128}+))?+\[ARGS\]\s*+(?=\{)")
_BETWEEN_OBJECTS: Final = re.compile(r"(?:\s++|;|\[TOOL_CALLS\]|<\|e(?:om|ot)_id\|>)*+")

_INVOKE: Final = re.compile(r'<(?:｜DSML｜)?+(?:function=|invoke name=")([^">\n]{1,256}+)"?+>\s*+')
_INVOKED: Final = re.compile(r"</(?:｜DSML｜)?+(?:function|invoke)>\s*+")
_PARAMETER: Final = re.compile(r'<(?:｜DSML｜)?+parameter(=| name=")([^">\n]{1,256}+)"?+(?: string="(true|false)")?+>')
_VALUE_END: Final = re.compile(
    r"</(?:｜DSML｜)?+parameter>"
    r"(?=\s*+(?:<(?:｜DSML｜)?+parameter[= ]|</(?:｜DSML｜)?+(?:function|invoke)>|\Z))"
)

_NAME: Final = re.compile(r"([\w.:-]{0,256}+)[ \t]*+")
_GLM_NAME: Final = re.compile(r"([\w.:-]{1,256}+)\s*+")
_GLM_KEY: Final = re.compile(r"<arg_key>([^<]{1,256}+)</arg_key>\s*+<arg_value>")
_GLM_VALUE_END: Final = re.compile(r"</arg_value>\s*+(?=<arg_key>|\Z)")

_KIMI_CALL: Final = re.compile(r"<\|tool_call_begin\|>\s*+([^<\s]{1,256}+)\s*+<\|tool_call_argument_begin\|>\s*+")
_KIMI_END: Final = re.compile(r"<\|tool_call_end\|>\s*+")
_DEEPSEEK_CALL: Final = re.compile(
    r"<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>)?+\s*+([^<\n]{1,256}+)(?:<｜tool▁sep｜>|\n)\s*+(?:```json\s*+)?+"
)
_DEEPSEEK_END: Final = re.compile(r"(?:```\s*+)?+<｜tool▁call▁end｜>\s*+")


def read_objects(content: str, tools: Tools) -> list[WrittenCall]:
    """JSON objects with name and arguments, one after the other or in an array: Hermes, Llama, Mistral. Mistral's newer
    form has the name before the arguments."""
    found: list[WrittenCall] = []
    at = _BETWEEN_OBJECTS.match(content).end()  # type: ignore[union-attr]
    while at < len(content):
        named = _MISTRAL_NAME.match(content, at)
        value, at = decode(content, named.end() if named else at)
        if named:
            value = {"name": named[1], "arguments": value, "id": named[2]}
        found += (from_object(call, tools) for call in (value if isinstance(value, list) else [value]))
        at = _BETWEEN_OBJECTS.match(content, at).end()  # type: ignore[union-attr]
    return found


def from_object(call: Any, tools: Tools) -> WrittenCall:
    """The call that a JSON value is, in the spellings that models have for it. Raises ValueError for what is none."""
    if isinstance(call, dict) and isinstance(call.get("function"), dict):
        call = call["function"]
    if not isinstance(call, dict):
        raise ValueError("a call is an object")
    given = (call[key] for key in ("arguments", "parameters", "args", "input") if call.get(key) is not None)
    call_id, arguments = call.get("id"), next(given, dict[str, Any]())
    if not isinstance(arguments, dict | str):
        raise ValueError("arguments are an object")
    return WrittenCall(known(call.get("name"), tools), arguments, call_id if isinstance(call_id, str) else "")


def read_invocations(content: str, tools: Tools) -> list[WrittenCall]:
    """`<function=NAME><parameter=KEY>VALUE</parameter></function>` (Qwen3-Coder), the same with
    `<invoke name="NAME"><parameter name="KEY">` (MiniMax, DeepSeek's DSML), and `<function=NAME>{…}</function>`."""
    found: list[WrittenCall] = []
    at = after_space(content, 0)
    while at < len(content):
        opened = _INVOKE.match(content, at)
        if not opened:
            raise ValueError("something else between the calls")
        name, at = known(opened[1], tools), opened.end()
        arguments: Json = {}
        if content.startswith("{", at):
            given, at = decode(content, at)
            arguments.update(given)
        while parameter := _PARAMETER.match(content, after_space(content, at)):
            end = _VALUE_END.search(content, parameter.end())
            if not end:
                raise Unfinished
            value = content[parameter.end() : end.start()]
            if parameter[1] == "=":
                value = value.removeprefix("\n").removesuffix("\n")
            schema = {"type": "string"} if parameter[3] == "true" else schema_of(parameter[2], name, tools)
            arguments[parameter[2]] = read_json(value) if parameter[3] == "false" else typed(value, schema)
            at = end.end()
        found.append(WrittenCall(name, arguments))
        at = after_space(content, at)
        at = closed.end() if (closed := _INVOKED.match(content, at)) else at
    return found


def read_glm(content: str, tools: Tools) -> list[WrittenCall]:
    """`NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>…`: GLM-4.5 and later."""
    named = _GLM_NAME.match(content, after_space(content, 0))
    if not named:
        raise ValueError("no name")
    name, at = known(named[1].strip(), tools), named.end()
    arguments: Json = {}
    while at < len(content):
        key = _GLM_KEY.match(content, at)
        if not key:
            raise ValueError("something else between the arguments")
        end = _GLM_VALUE_END.search(content, key.end())
        if not end:
            raise Unfinished
        arguments[key[1]] = typed(content[key.end() : end.start()], schema_of(key[1], name, tools))
        at = end.end()
    return [WrittenCall(name, arguments)]


def read_tagged(content: str, tools: Tools) -> list[WrittenCall]:
    """What stands between `<tool_call>` and `</tool_call>`: Hermes, Qwen3-Coder and GLM each fill it differently."""
    start = content[after_space(content, 0) :][:1]
    if start == "<":
        return read_invocations(content, tools)
    return read_objects(content, tools) if start in ("{", "[") else read_glm(content, tools)


def may_be_tagged(beginning: str, tools: Tools) -> bool | None:
    """Whether a content that begins like this can be what `read_tagged` reads; None: it is too short to tell."""
    beginning = beginning.lstrip()
    if not beginning:
        return None
    if beginning[0] in "{[":
        return True
    if beginning[0] == "<":
        return may_be_named(beginning.removeprefix("<function="), tools) if len(beginning) > len("<function=") else None
    return may_be_named(beginning, tools)


def may_be_named(beginning: str, tools: Tools) -> bool | None:
    """Whether a content can begin with the name of a tool; None: the name has not ended."""
    name = _NAME.match(beginning)
    if not name or name.end() == len(beginning):
        return None if name else False
    return beginning[name.end()] in ">\n<" and meant(name[1], tools.names) in tools.names


LONGEST_BEGINNING: Final = 300
"""Characters after which it is known whether a call begins."""


def read_function(content: str, tools: Tools) -> list[WrittenCall]:
    """What follows `<function=` where Qwen3-Coder forgets the `<tool_call>` before it, up to `</function>`."""
    return read_invocations(f"<function={content}", tools)


def read_kimi(content: str, tools: Tools) -> list[WrittenCall]:
    """The section of Kimi K2's calls; each has an id that it was made for."""
    return [
        WrittenCall(name, arguments, call_id)
        for call_id, name, arguments in sections(content, _KIMI_CALL, _KIMI_END, tools)
    ]


def read_deepseek(content: str, tools: Tools) -> list[WrittenCall]:
    """The section of DeepSeek's calls, of V3 and R1 (with a code fence) and of V3.1 (without)."""
    return [
        WrittenCall(name, arguments) for _, name, arguments in sections(content, _DEEPSEEK_CALL, _DEEPSEEK_END, tools)
    ]


def sections(
    content: str, opening: re.Pattern[str], closing: re.Pattern[str], tools: Tools
) -> list[tuple[str, str, Json]]:
    """(what the opening says, name, arguments) of calls that each have marks of their own around JSON."""
    found: list[tuple[str, str, Json]] = []
    at = after_space(content, 0)
    while at < len(content):
        opened = opening.match(content, at)
        if not opened:
            raise ValueError("something else between the calls")
        arguments, at = decode(content, opened.end())
        at = after_space(content, at)
        closed = closing.match(content, at)
        if not isinstance(arguments, dict) or not (closed or at == len(content)):
            raise ValueError("arguments are an object")
        found.append((opened[1], known(opened[1].strip(), tools), arguments))
        at = closed.end() if closed else len(content)
    return found


def known(name: Any, tools: Tools) -> str:
    """The request's tool that a name means. Raises ValueError where there is none."""
    found = meant(name, tools.names) if isinstance(name, str) else ""
    if found not in tools.names:
        raise ValueError("no tool of the request")
    return found


def schema_of(key: str, name: str, tools: Tools) -> Any:
    """The schema of one parameter of a tool; None where it isn't known."""
    parameters = tools.parameters.get(name)
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    return properties.get(key) if isinstance(properties, dict) else None


def typed(text: str, schema: Any) -> Any:
    """The value that a text stands for in a notation without types."""
    kinds = types_of(schema)
    if "null" in kinds and text.strip() in ("null", "None"):
        return None
    if not kinds or "string" in kinds:
        return text
    if "boolean" in kinds and text.strip() in ("True", "False"):
        return text.strip() == "True"
    try:
        return read_json(text)
    except ValueError:
        return text


def types_of(schema: Any) -> set[str]:
    """The types that a schema allows at its top."""
    if not isinstance(schema, dict):
        return set()
    given = schema.get("type")
    kinds = {given} if isinstance(given, str) else set(map(str, given)) if isinstance(given, list) else set()
    for word in ("anyOf", "oneOf"):
        if isinstance(branches := schema.get(word), list):
            kinds |= {kind for branch in branches if isinstance(branch, dict) for kind in types_of_branch(branch)}
    return kinds


def types_of_branch(branch: Json) -> set[str]:
    """The types of one branch of a schema, which has no branches itself as far as anybody looks."""
    given = branch.get("type")
    return {given} if isinstance(given, str) else set()


def read_json(text: str) -> Any:
    """A whole JSON text. Raises ValueError."""
    value, at = decode(text, after_space(text, 0))
    if after_space(text, at) != len(text):
        raise ValueError("more than a value")
    return value


def decode(text: str, at: int) -> tuple[Any, int]:
    """The JSON value at a position, and where it ends. Raises ValueError, Unfinished within a string."""
    try:
        return _decode(text, at)
    except json.JSONDecodeError as error:
        if error.msg.startswith("Unterminated string"):
            raise Unfinished from None
        raise
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def after_space(text: str, at: int) -> int:
    """Where the white space at a position ends."""
    space = _SPACE.match(text, at)
    return space.end() if space else at


class Marks(NamedTuple):
    """What calls stand between, and how they are read."""

    opening: str
    closing: str
    """Empty: they go on to the end of the answer."""
    read: Callable[[str, Tools], list[WrittenCall]]
    begins: Callable[[str, Tools], bool | None] = lambda beginning, tools: True
    """Whether what follows the opening can be calls: what is no call should not wait for a closing mark."""


_TAGGED: Final = Marks("<tool_call>", "</tool_call>", read_tagged, may_be_tagged)
_FUNCTION: Final = Marks("<function=", "</function>", read_function, may_be_named)
_FORMS: Final[dict[str, tuple[Marks, ...]]] = {
    "hermes": (_TAGGED,),
    "qwen": (_TAGGED, _FUNCTION),
    "glm": (_TAGGED,),
    "mistral": (Marks("[TOOL_CALLS]", "", read_objects),),
    "llama": (Marks("<|python_tag|>", "", read_objects), _FUNCTION),
    "kimi": (
        Marks("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", read_kimi),
        Marks("<|tool_call_section_begin|>", "<|tool_call_section_end|>", read_kimi),
    ),
    "deepseek": (
        Marks("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", read_deepseek),
        Marks("<｜DSML｜function_calls>", "</｜DSML｜function_calls>", read_invocations),
        Marks("<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>", read_invocations),
    ),
    "minimax": (Marks("<minimax:tool_call>", "</minimax:tool_call>", read_invocations),),
}
FORMS: Final = _FORMS | {"any": tuple(dict.fromkeys(marks for form in _FORMS.values() for marks in form))}
"""The marks of each value of `calls_in_text`."""
