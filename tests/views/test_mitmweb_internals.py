"""What the addons around mitmproxy's interfaces rely on, one test each: an upgrade that moves something fails by name.

Nothing of ours is tested here.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from mitmproxy import flow, http
from mitmproxy.addons import export
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.view import View
from mitmproxy.log import MitmFormatter
from mitmproxy.net.http.http1 import read
from mitmproxy.test import taddons, tflow
from mitmproxy.tools import web
from mitmproxy.tools.web import app
from mitmproxy.tools.web.app import IndexHandler, handlers
from mitmproxy.tools.web.web_columns import AVAILABLE_WEB_COLUMNS
from mitmproxy.utils.emoji import emoji

from addons.views.mitmweb import COLUMNS
from addons.views.one_line import mark
from tests.exchanges import exchange, targets

pytestmark = pytest.mark.upstream

FOLDER = Path(web.__file__).parent


def test_the_page_is_index_html_with_one_head() -> None:
    """`addons/views/mitmweb/page.py` adds its tags there."""
    assert handlers[0][:2] == (r"/", IndexHandler)
    assert (FOLDER / "index.html").read_text().count("</head>") == 1


NAMES = """
flow-table flow-detail flow-menu main-view menu-group menu-content menu-legend close-button contentview controls
col-quickactions nav-tabs dropdown-menu window.backend flows/sort flows/update ui/flow selectTab
setContentViewFor contentViewFor contentHash matching_filters web_columns _mitmproxy_xsrf CONNECTION_FETCHING
"""


@pytest.mark.parametrize("name", NAMES.split())
def test_the_page_has_these_names(name: str) -> None:
    """The scripts and the style sheet in `addons/views/mitmweb` go by them."""
    assert any(name in script.read_text() for script in (FOLDER / "static").glob("index*.js"))


def test_the_button_that_copies_has_this_picture() -> None:
    """The style sheet goes by its class, `fa-clipboard`, which is `lucide-clipboard` from mitmproxy 12.3 on."""
    scripts = [script.read_text() for script in (FOLDER / "static").glob("index*.js")]
    assert any(re.search(r'icon:"(?:fa-)?clipboard"', script) for script in scripts)


def test_flows_are_told_by_this_function() -> None:
    """`addons/views/mitmweb/page.py` puts another in its place, which tells our row too."""
    assert {"flow_to_json"} <= set(app.Flows.get.__wrapped__.__code__.co_names)  # type: ignore[attr-defined]
    assert "flow_to_json" in app.ClientConnection.broadcast_flow.__func__.__code__.co_names  # type: ignore[attr-defined]


def test_the_columns_exist() -> None:
    assert set(COLUMNS) <= set(AVAILABLE_WEB_COLUMNS)


def test_the_marks_are_pictures() -> None:
    shown = set()
    for code in (200, 500):
        made = exchange(*targets("anthropic", "zai"))
        made.begin(), made.begin()
        shown.add(mark(made, tflow.tflow(resp=http.Response.make(code))))
    assert {emoji[name] for name in shown} == {"↪", "✖"}


def test_the_view_kills_live_flows_that_it_removes() -> None:
    """Why the keeper leaves them alone."""
    view, running, ended = View(), tflow.tflow(), tflow.tflow(resp=True)
    ended.live = False
    with taddons.context(view):
        view.add([running, ended])
        view.remove([running, ended])
        assert running.error
        assert running.error.msg == flow.Error.KILLED_MESSAGE
        assert ended.error is None
        assert view.get_by_id(ended.id) is None


def test_the_exports_are_a_table() -> None:
    """The curl export is replaced in it."""
    assert export.formats["curl"] is export.curl_command


def test_the_proxy_server_knows_where_it_listens() -> None:
    assert Proxyserver().listen_addrs() == []


def test_lines_are_made_of_message_and_traceback() -> None:
    """A record whose message is final, without arguments and traceback, is written as it is."""
    record = logging.LogRecord("name", logging.INFO, "path", 1, "100 % of %s", None, None)
    assert MitmFormatter(colorize=False).format(record).endswith("] 100 % of %s")


def test_what_cannot_be_read_is_quoted_as_bytes() -> None:
    """Why the log shows only how many bytes there were."""
    with pytest.raises(ValueError, match=r"b'(GET|nonsense)"):
        read.read_request_head([b"nonsense"])


def test_messages_decode_their_bodies_by_this_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """`addons/views/unpacking.py` puts another in its place."""
    monkeypatch.setattr("mitmproxy.net.encoding.decode", lambda content, name, errors="strict": b"decoded")
    response = http.Response.make(200, b"")
    response.headers["content-encoding"] = "br"
    response.raw_content = b"x"
    assert response.content == b"decoded"
