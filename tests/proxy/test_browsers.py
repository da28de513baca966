"""Which requests come from somebody else's web page."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.proxy.browsers import Origins, foreign, host_of, own_names, read_origins

NAMES = frozenset({"localhost", "desk"})
LISTENING = "192.0.2.7"
NOTHING = Origins()
SITE = "sec-fetch-site"


def refused(
    path: str = "/v1/messages", listed: str = "", listening: str = LISTENING, **headers: str | list[str]
) -> str | None:
    """Why; the names of headers with `_` for `-`."""
    values = {name.replace("_", "-"): value if isinstance(value, list) else [value] for name, value in headers.items()}
    return foreign(values, values.get("host", []), path, NAMES, listening, read_origins(listed))


OURS = [
    "localhost",
    "LOCALHOST:4000",
    "localhost.:4000",
    "127.0.0.1:4000",
    "127.8.9.1",
    "[::1]:4000",
    "[0:0:0:0:0:0:0:1]:4000",
    "[::ffff:127.0.0.1]:4000",
    "desk:4000",
    "Desk",
    "192.0.2.7:4000",
    "[::ffff:192.0.2.7]:4000",
]
THEIRS = [
    "evil.example",
    "evil.example:4000",
    "localhost.evil.example",
    "127.0.0.1.evil.example:4000",
    "127.0.0.1%evil.example",
    "127.0.0.1@evil.example",
    "evil.example#localhost",
    "evil.example/localhost",
    "evil.example?localhost",
    "evil.example\\localhost",
    "localhost, evil.example",
    "localhost evil.example",
    "localhost:x",
    "localhost:70000",
    "0.0.0.0:4000",
    "[::]:4000",
    "192.0.2.8",
    "[::1",
    "[]",
    ":4000",
    "",
    "löcalhost",
    "desk.evil.example",
]


@pytest.mark.parametrize("host", OURS)
def test_hosts_of_ours(host: str) -> None:
    assert refused(host=host, origin=f"http://{host}") is None
    assert refused("/v1/models", host=host) is None


@pytest.mark.parametrize("host", THEIRS)
def test_hosts_of_others(host: str) -> None:
    assert refused(host=host, origin="http://localhost:4000") == "Host"
    assert refused(host=["localhost", host], origin="http://localhost:4000") == "Host"
    assert refused(host="localhost:4000", origin=f"http://{host}") == "Origin"
    assert refused(host="localhost:4000", origin=["http://localhost", f"https://{host}"]) == "Origin"
    assert refused("/v1/models?limit=1", host=host) == "Host"
    assert refused(host=host) is None, "a client that is no browser may call the gateway what it likes"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/glm", "/gateway/", "/gateway/login?x", "/metrics"])
def test_what_is_told_to_known_hosts_only(path: str) -> None:
    assert refused(path, host="evil.example:4000") == "Host"
    assert refused(path) == "Host"
    assert refused(path, host="127.0.0.1:4000") is None
    assert refused(path, host="team.example:4000", listed="team.example") is None


@pytest.mark.parametrize(
    "origin", ["null", "", "file://", "vscode-webview://1abc", "chrome-extension://x", "localhost"]
)
def test_origins_that_are_no_hosts(origin: str) -> None:
    assert refused(host="localhost:4000", origin=origin) == "Origin"


def test_a_page_of_another_site() -> None:
    assert refused(host="localhost:4000", sec_fetch_site="cross-site") == "Sec-Fetch-Site"
    assert refused(host="localhost:4000", sec_fetch_site="Cross-Site ", sec_fetch_mode="no-cors") == "Sec-Fetch-Site"
    assert refused(host="127.0.0.1:4000", origin="http://localhost:3000", sec_fetch_site="cross-site")
    for site in ("same-origin", "same-site", "none"):
        assert refused(host="localhost:4000", sec_fetch_site=site) is None
        assert refused(host="evil.example:4000", sec_fetch_site=site) == "Host"


def test_nodes_fetch_is_no_browser() -> None:
    """Recorded: `sec-fetch-mode: cors`, and nothing else of the kind."""
    assert refused(host="your-server:4000", sec_fetch_mode="cors") is None
    assert refused(host="your-server:4000", sec_fetch_mode="navigate") == "Host"
    assert refused(host="your-server:4000", sec_fetch_mode="cors", sec_fetch_dest="empty") == "Host"
    assert refused(host="your-server:4000", sec_fetch_mode="cors", origin="http://your-server:4000") == "Host"


def test_what_the_operator_has_listed() -> None:
    listed = "chat.example.com, https://Other.example,[2001:db8::1] , vscode-webview://, app://one"
    for origin in ("https://chat.example.com:8443", "http://other.example", "vscode-webview://1a-2b", "app://one"):
        assert refused(host="chat.example.com", origin=origin, listed=listed) is None
        assert refused(host="localhost", origin=origin, sec_fetch_site="cross-site", listed=listed) is None
    assert refused(host="[2001:db8:0::1]:4000", sec_fetch_site="none", listed=listed) is None
    for origin in ("https://sub.chat.example.com", "app://two", "vscode-webviews://1"):
        assert refused(host="localhost", origin=origin, listed=listed) == "Origin"
    assert refused(host="localhost", origin="null", listed="vscode-webview://") == "Origin"


@pytest.mark.parametrize(
    "text", ["*", "*.example.com", "a b", "host:80", "http://host:80", "http://", "[::1]:4000", "a/b"]
)
def test_what_can_not_be_listed(text: str) -> None:
    with pytest.raises(ValueError, match=r"^" + text.replace("*", r"\*").replace("[", r"\[") + "$"):
        read_origins(f"fine.example,{text}")


@pytest.mark.parametrize("text", ["", " , ", "null,"])
def test_a_list_of_nothing_special(text: str) -> None:
    assert not read_origins(text).others
    assert refused(host="localhost", origin="null", listed=text) == "Origin"


def test_the_names_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Desk.corp.example")
    assert own_names() == {"localhost", "desk.corp.example", "desk", "desk.local"}
    monkeypatch.setattr(socket, "gethostname", lambda: "")
    assert own_names() == {"localhost"}
    assert host_of(socket.gethostname() or "localhost")


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_has_an_answer(host: str, origin: str) -> None:
    """And only what is made of the names above is one of ours."""
    told = refused(host=host, origin=origin, listening="")
    assert told in (None, "Host", "Origin")
    if told is None:
        assert any(part in host.lower() for part in ("localhost", "desk", "127.", ":"))
