"""Which call a piece belongs to."""

from typing import Any

import pytest

from addons.wire.chat.tool_calls import Calls


def piece(name: str | None, arguments: str | None = None, **fields: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**fields, "function": function}


def read(*chunks: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(id, name, arguments) of each call."""
    calls = Calls()
    for chunk in chunks:
        calls.take(chunk)
    return [(call.id, call.name, "".join(call.ready) + call.arguments.close()) for call in calls.all]


TWO = [("a", "A", '{"n":1}'), ("b", "B", '{"n":2}')]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [
                [piece("A", "", id="a", index=0)],
                [piece(None, '{"n":1}', index=0)],
                [piece("B", "", id="b", index=1)],
                [piece(None, '{"n":2}', index=1)],
            ],
            id="OpenAI",
        ),
        pytest.param(
            [[piece("A", '{"n":1}', id="a", index=0), piece("B", '{"n":2}', id="b", index=0)]], id="all with index 0"
        ),
        pytest.param(
            [[piece("A", '{"n":1}', id="a", index=0)], [piece("B", '{"n":2}', id="b", index=0)]], id="Ollama, in turn"
        ),
        pytest.param([[piece("A", '{"n":1}', id="a")], [piece("B", '{"n":2}', id="b")]], id="without index"),
        pytest.param(
            [
                [piece("A", "", id="a"), piece("B", "", id="b")],
                [piece(None, '{"n"'), piece(None, '{"n":')],
                [piece(None, ":1}"), piece(None, "2}")],
            ],
            id="continued by position",
        ),
        pytest.param(
            [
                [piece("A", "", id="a")],
                [piece(None, '{"n":1}')],
                [piece("B", "", id="b")],
                [piece(None, '{"n":')],
                [piece(None, "2}")],
            ],
            id="one after another by nothing",
        ),
        pytest.param(
            [
                [piece("A", "", id="a"), piece("B", "", id="b")],
                [piece(None, '{"n":1}')],
                [piece(None, '{"n":2}')],
            ],
            id="opened together, continued one after another",
        ),
        pytest.param(
            [
                [piece("A", "", id="a", index=1), piece("B", "", id="b", index=2)],
                [piece("", '{"n":2}', id="", index=2), piece("", '{"n":1}', id="", index=1)],
            ],
            id="from 1, with empty strings",
        ),
        pytest.param(
            [
                [piece("A", '{"n"', id="a", index=0)],
                [piece("A", ":1}", id="a", index=0)],
                [piece("B", '{"n":', id="b", index=1)],
                [piece("B", "2}", id="b", index=1)],
            ],
            id="repeated",
        ),
        pytest.param(
            [
                [piece("A", '{"n"', id="a", index=0)],
                [piece(None, ":1}", id="x", index=0)],
                [piece("B", None, id="b", index=1)],
                [piece(None, '{"n":2}', id="y", index=1)],
            ],
            id="a new id with every piece",
        ),
        pytest.param(
            [
                [{"id": "a", "index": 0, "type": "function"}],
                [piece("A", index=0)],
                [piece(None, '{"n":1}', index=0)],
                [{"id": "b", "index": 1}],
                [piece("B", '{"n":2}', index=1)],
            ],
            id="the id before the name",
        ),
        pytest.param(
            [[piece("A", '{"n":1}', id="a"), piece("B", "", id="b")], [piece(None, '{"n":2}', id="b")]],
            id="continued by id",
        ),
    ],
)
def test_two_calls(chunks: list[list[dict[str, Any]]]):
    assert read(*chunks) == TWO


def test_names_without_ids():
    assert read([piece("A", '{"n":1}')], [piece("B", '{"n":2}')]) == [("", "A", '{"n":1}'), ("", "B", '{"n":2}')]
    assert read([piece("A", '{"n"', index=0)], [piece("A", ":1}", index=0)]) == [("", "A", '{"n":1}')]
    assert read([piece("A", "{}", index=0)], [piece("A", "{}", index=0)]) == [("", "A", "{}")] * 2
