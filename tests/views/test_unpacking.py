import gzip
import time

import brotli  # type: ignore[import-untyped]  # it has no stubs
import pytest
from mitmproxy import http
from mitmproxy.net import encoding

from addons.views import unpacking


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setattr(encoding, "decode", unpacking.decode)


def response(body: bytes, **headers: str) -> http.Response:
    made = http.Response.make(200, b"")
    made.raw_content = body
    for name, value in headers.items():
        made.headers[name.replace("_", "-")] = value
    return made


@pytest.fixture(scope="module")
def bomb():
    return brotli.compress(bytes(1 << 28), quality=2)


def test_bodies_are_decoded_as_ever():
    assert response(gzip.compress(b"hello"), content_encoding="gzip").content == b"hello"
    assert response(brotli.compress(b"hello"), content_encoding="BR").text == "hello"
    assert response(b"hello").content == b"hello"
    assert response("h\u00e9".encode("latin-1"), content_type="text/plain; charset=latin-1").text == "h\u00e9"


@pytest.mark.parametrize("coding", ["br", "bz2", "punycode", "idna", "unicode_escape", "rot13", "uu", "zlib"])
def test_a_bomb_and_what_is_no_coding_stay_as_they_are(bomb, coding):
    started = time.process_time()
    assert response(bomb, content_encoding=coding).get_content(strict=False) == bomb
    assert time.process_time() - started < 2


def test_a_charset_that_takes_its_time_is_not_read():
    assert response(b"a-" * 100_000, content_type="text/plain; charset=punycode").get_text(strict=False)
