import json

import pytest

from addons.wire.errors import BadRequest
from addons.wire.messages.body import Draft, RequestBody, session_of
from addons.wire.messages.message import KEEP
from tests.client_messages import text
from tests.wire.bodies import request

ODD = (
    b' {"messages" :[ {"content":"h\\u0069 \xc3\xa9" , "role":"user"},{"role":"assistant","content":\n'
    b'[{"te\\u0078t":"1.10", "type":"te\\u0078t","n":1.10,"n":12345678901234567890123}]}],\r\n'
    b' "model":"g\\u006cm" ,"stream": true,"temperature":0.70} '
)


def refusal(body) -> str:
    with pytest.raises(BadRequest) as caught:
        RequestBody.parse(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert caught.value.status == 400
    return str(caught.value)


def test_what_the_gateway_needs_is_read():
    body = RequestBody.parse(ODD)
    assert (body.raw, body.model, body.stream, body.repaired) == (ODD, "glm", True, 0)
    assert [(message.role, message.text) for message in body.messages] == [("user", "hi é"), ("assistant", None)]
    assert body.messages[1].blocks[0].type == "text"
    assert body.get("temperature") == 0.7
    assert body.get("top_p") is None


def test_stream_is_off_when_it_is_not_said():
    assert not RequestBody.parse(json.dumps(request()).encode()).stream
    assert not RequestBody.parse(json.dumps(request(stream=False)).encode()).stream


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the request body is not valid JSON: Input data was truncated"),
        (b'{"model":"glm","messages":[],"x":NaN}', "valid JSON: invalid character (byte 33)"),
        (b'{"model":"glm","messages":["\xff"]}', "not valid JSON: it is not UTF-8"),
        (b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b"[]", "the request body must be a JSON object"),
        ({"messages": []}, "model: is missing"),
        (request(model=""), "model: must be a string that is not empty"),
        (request(model=None), "model: must be"),
        (request(model=["glm"]), "model: must be"),
        (request(stream="true"), "stream: must be true or false"),
        (request(stream=None), "stream: must be"),
        (request(tools={}), "tools: must be an array"),
        (request(system=3), "system: must be a string or an array of text blocks"),
        (request(system={"type": "text"}), "system: must be a string or an array of text blocks"),
        (request(system=[text("a"), "b"]), "system.1: must be an object"),
        ({"model": "glm"}, "messages: is missing"),
        ({"model": "glm", "messages": None}, "messages: must be an array"),
        ({"model": "glm", "messages": {}}, "messages: must be an array"),
        (request({"role": "user", "content": "a"}, 3), "messages.1: must be an object"),
        (request({"role": "user", "content": "a"}, None), "messages.1: must be an object"),
        (request({"content": "a"}), "messages.0.role: is missing"),
        (request({"role": 3, "content": "a"}), "messages.0.role: must be a string"),
        (request("a", {"role": "user"}), "messages.1.content: is missing"),
        (request("a", {"role": "user", "content": None}), "messages.1.content: must be a string or an array of"),
        (request("a", {"role": "user", "content": {}}), "messages.1.content: must be a string or an array of"),
        (request("a", {"role": "user", "content": [text("a"), "b"]}), "messages.1.content.1: must be an object"),
        (request("a", {"role": "user", "content": [{"type": 3}]}), "messages.1.content.0.type: must be a string"),
    ],
)
def test_a_body_that_cannot_be_served_is_refused_with_the_field(body, words):
    assert words in refusal(body)


@pytest.mark.parametrize(
    "body",
    [
        {"model": "glm", "messages": []},
        request({"role": "system", "output_config": {"effort": "low"}}),
        request({"role": "nobody", "content": []}),
        request({"role": "user", "content": [{}, {"type": "new", "id": None, "text": 3, "content": {}}]}),
        request(system=None, tools=None, max_tokens="many", thinking=3),
    ],
)
def test_what_only_a_provider_can_judge_passes(body):
    data = json.dumps(body).encode()
    draft = Draft(RequestBody.parse(data))
    assert draft.encode() is data


def test_a_lone_surrogate_is_replaced_and_the_rest_kept():
    body = RequestBody.parse(rb'{"model":"glm","messages":[{"role":"user","content":"cut \ud83d"}],"f":1.10}')
    assert body.repaired == 1
    assert body.messages[0].text == "cut \ufffd"
    assert body.raw == rb'{"model":"glm","messages":[{"role":"user","content":"cut \ufffd"}],"f":1.10}'
    assert Draft(body).encode() is body.raw


def test_nothing_changed_is_the_same_object():
    body = RequestBody.parse(ODD)
    draft = Draft(body)
    draft.set("model", "glm")
    assert draft.encode() != ODD, "the name was spelled in another way"
    draft = Draft(body)
    assert not draft.drop("top_p")
    draft.set_piece("temperature", body.fields["temperature"])
    draft.messages.edit(range(2), lambda block: KEEP)
    assert draft.encode() is body.raw


def test_only_the_model_changes():
    body = RequestBody.parse(ODD)
    draft = Draft(body)
    draft.set("model", "glm-5")
    assert draft.get("model") == "glm-5"
    assert draft.encode() == (
        b'{"messages":[ {"content":"h\\u0069 \xc3\xa9" , "role":"user"},{"role":"assistant","content":\n'
        b'[{"te\\u0078t":"1.10", "type":"te\\u0078t","n":1.10,"n":12345678901234567890123}]}],'
        b'"model":"glm-5","stream":true,"temperature":0.70}'
    )


def test_fields_are_set_in_place_and_dropped():
    body = RequestBody.parse(b'{"model":"glm","messages":[],"a":1.0,"b":2}')
    draft = Draft(body)
    draft.set("c", {"x": [1]})
    draft.set("a", None)
    assert draft.drop("b")
    assert draft.get("b") is None
    assert list(draft.fields) == ["model", "messages", "a", "c"]
    assert draft.encode() == b'{"model":"glm","messages":[],"a":null,"c":{"x":[1]}}'


def test_a_draft_never_changes_the_body_or_another_draft():
    body = RequestBody.parse(ODD)
    first, second = Draft(body), Draft(body)
    first.set("model", "other")
    first.drop("stream")
    first.messages[1] = body.messages[1].with_pieces([])
    del first.messages[0]
    first.encode()
    assert second.encode() is body.raw
    assert body.raw == ODD
    assert json.loads(Draft(body).encode()) == json.loads(ODD)
    assert len(body.messages) == 2
    assert body.messages[1].blocks


@pytest.mark.parametrize(
    "model", ["a" * 257, "claude-x\r\nset-cookie: pwn=1", "x\x1b[2J", "x\u2028y", "\u0000", "a\u009bb"]
)
def test_a_model_name_is_short_and_has_no_control_characters(model):
    with pytest.raises(BadRequest, match="model: must have at most 256 characters, and no control characters"):
        RequestBody.parse(json.dumps({"model": model, "messages": []}).encode())


@pytest.mark.parametrize("model", ["a" * 256, "openrouter/qwen/qwen3.6-plus:free", "模型 5"])
def test_other_model_names_are_taken_as_they_are(model):
    assert RequestBody.parse(json.dumps({"model": model, "messages": []}).encode()).model == model


@pytest.mark.parametrize("user_id", ['{"a":' * 100_000, '{"session_id":"x"}' + " " * 100_000])
def test_a_user_id_that_goes_on_and_on_names_no_session(user_id):
    body = {"model": "glm", "messages": [], "metadata": {"user_id": user_id}}
    assert session_of(RequestBody.parse(json.dumps(body).encode())) is None
