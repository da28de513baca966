"""What a gateway says of itself when it is there."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from mitmproxy.log import ALERT
from mitmproxy.test import taddons

from addons.process.welcome import Welcome
from tests.proxyserver import Proxyserver


def said(caplog: pytest.LogCaptureFixture, *addresses: Sequence[str | int], url: str | None = None) -> list[str]:
    with taddons.context(Proxyserver(*addresses)) as context, caplog.at_level(logging.DEBUG):
        if url is not None:
            context.master.web_url = url
        Welcome().running()
    assert {record.levelno for record in caplog.records} <= {ALERT}
    return caplog.messages


def test_where_it_listens(caplog: pytest.LogCaptureFixture) -> None:
    assert said(caplog, ("127.0.0.1", 4000)) == ["gateway: listening on http://127.0.0.1:4000"]


def test_several_addresses(caplog: pytest.LogCaptureFixture) -> None:
    two = said(caplog, ("127.0.0.1", 4000), ("::1", 4000, 0, 0))
    assert two == ["gateway: listening on http://127.0.0.1:4000 and http://[::1]:4000"]


def test_every_address(caplog: pytest.LogCaptureFixture) -> None:
    everywhere = said(caplog, ("0.0.0.0", 4000), ("::", 4000, 0, 0))
    assert everywhere == ["gateway: listening on port 4000 of every address"]


def test_a_gateway_that_only_shows_a_file_listens_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    assert said(caplog) == []


def test_where_to_look(caplog: pytest.LogCaptureFixture) -> None:
    url = "http://127.0.0.1:8081/?token=abc"
    assert said(caplog, url=url) == [f"gateway: what it does can be seen on {url}"]
