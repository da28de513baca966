"""Header lines: what mitmproxy's own `Headers` would say of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.net.http import http1

from addons.proxy.header_lines import headers_of, is_last, put, put_all, value_of, without

NAMES = st.sampled_from([b"a", b"A", b"x-b", b"X-B", b"connection", b"Connection", b"content-length"])
VALUES = st.sampled_from([b"", b"1", b"close", b"Keep-Alive", b"keep-alive, close", "ü".encode(), b"\xff"])
LINES = st.lists(st.tuples(NAMES, VALUES), max_size=6)
WANTED = st.sampled_from([b"a", b"x-b", b"connection", b"missing"])


@given(LINES, WANTED)
def test_a_value_is_what_mitmproxy_reads(lines, name):
    headers = headers_of(lines)
    assert headers == http.Headers(lines)
    assert value_of(headers, name) == http.Headers(lines).get(name.decode(), "")


@given(LINES, WANTED, VALUES)
def test_a_header_that_is_put_is_there_once(lines, name, value):
    headers, theirs = headers_of(lines), http.Headers(lines)
    put(headers, name, value)
    theirs[name.decode()] = value.decode("utf-8", "surrogateescape")
    assert [(key.lower(), said) for key, said in headers.fields] == [(k.lower(), v) for k, v in theirs.fields]


@given(LINES, st.sets(WANTED))
def test_lines_that_are_taken_out_are_gone_and_the_others_stay(lines, names):
    headers = headers_of(lines)
    without(headers, names)
    assert list(headers.fields) == [line for line in lines if line[0].lower() not in names]


@given(LINES, st.sampled_from([b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0"]))
def test_a_connection_ends_when_mitmproxy_would_end_it(lines, version):
    response = http.Response.make(200)
    response.headers, response.data.http_version = http.Headers(lines), version
    assert is_last(response) == bool(http1.connection_close(version, response.headers))


@pytest.mark.parametrize("size", [10, 1000])
def test_many_lines_of_one_name_are_joined(size):
    assert value_of(headers_of([(b"A", b"1")] * size), b"a") == ", ".join(["1"] * size)


@given(LINES, st.dictionaries(WANTED, VALUES))
def test_several_headers_are_set_as_one_after_the_other(lines, values):
    at_once, each = headers_of(lines), headers_of(lines)
    put_all(at_once, values)
    for name, value in values.items():
        put(each, name, value)
    assert at_once.fields == each.fields
