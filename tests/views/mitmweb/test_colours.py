"""The colours of mitmweb's page: mitmweb/detail.js knows the lines of our views by how they begin."""

import json
import re
from pathlib import Path

from addons.views import changes, mitmweb, trail
from tests.views.looked_at import Watched
from tests.wire.streams import sse, text, thinking, whole

SCRIPT = (Path(mitmweb.__file__).parent / "detail.js").read_text(encoding="utf-8")
OLD, NEW = "# Rules\n- stay\n+ stay\n~ stay\n- go\n\n- end", "# Rules\n- stay\n+ stay\n~ stay\n+ come\n\n- end"


def colours(view, line):
    """The class that the page gives to a line of a view; empty for none."""
    table = re.search(rf"^  {view}: \[(.*?)\],?\n(?=  \w|}};)", SCRIPT, re.MULTILINE | re.DOTALL)
    assert table
    rules = re.findall(r'\[/(.+?)/, "(gw-[a-z]+)"\]', table[1])
    assert rules
    return next((name for pattern, name in rules if re.search(pattern, line)), "")


def test_changes_are_coloured_and_what_only_looks_like_one_is_not():
    asked, sent = (json.dumps({"system": words, "stream": True}).encode() for words in (OLD, NEW))
    lines = {line.strip(): colours("Changes", line) for line in changes.body_changes(asked, sent)}
    assert lines["-     - go"] == "gw-del"
    assert lines["+     + come"] == "gw-add"
    assert {lines[stayed] for stayed in ("+ stay", "~ stay", "- end", "… unchanged: stream", "{")} == {""}


def test_an_event_that_became_another_one():
    watched = Watched("zai")
    watched.sends()
    watched.streams(sse(whole(thinking(0, "hm"), text(1, "a"))), strip=True)
    shown = changes.render(watched.ends()).split("\n")
    assert {colours("Changes", line) for line in shown if "text [1 → 0]" in line} == {"gw-mod"}
    assert {colours("Changes", line) for line in shown if "thinking_delta" in line} == {"gw-del"}


def test_verdicts_are_coloured():
    watched = Watched("anthropic", "zai")
    watched.sends()
    watched.fails()
    watched.sends()
    running = trail.render(watched.exchange).split("\n")
    watched.streams(sse(whole(text(0, "a"))))
    ended = trail.render(watched.ends()).split("\n")
    assert [colours("Trail", line) for line in running[2:4]] == ["gw-bad", "gw-mod"]
    assert [colours("Trail", line) for line in ended[2:4]] == ["gw-bad", "gw-good"]
    assert {colours("Trail", line) for line in ended if line.startswith("failed ")} == {"gw-bad"}
    assert [colours("Trail", line) for line in ended if line.startswith("verdict ")] == ["gw-next", "gw-good"]
