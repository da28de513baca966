"""Which addresses the domains of a request admit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.wire.search.domains import domains_of


@pytest.mark.parametrize(
    ("domain", "url", "is_of"),
    [
        ("example.com", "https://example.com/", True),
        ("example.com", "http://docs.Example.COM:8443/a?b#c", True),
        ("example.com", "https://badexample.com/", False),
        ("example.com", "https://example.com.evil.org/", False),
        ("example.com", "https://evil.org/example.com", False),
        ("example.com", "https://example.com@evil.org/", False),
        ("example.com", "https://example.com./a", True),
        ("docs.example.com", "https://example.com/", False),
        ("https://Example.com/", "https://example.com/a", True),
        ("example.com/blog", "https://example.com/blog/one", True),
        ("example.com/blog", "https://example.com/news", False),
        ("example.com/*/news", "https://example.com/de/news/1", True),
        ("example.com/*/news", "https://example.com/de/blog", False),
        ("example.com/*", "https://example.com", True),
        ("bücher.example", "https://xn--bcher-kva.example/a", True),
        ("example.com", "ftp://example.com/", False),
        ("example.com", "javascript:alert(1)//example.com", False),
        ("example.com", "https://[::1", False),
    ],
)
def test_what_a_domain_covers(domain: str, url: str, is_of: bool) -> None:
    assert domains_of([domain], None).admit(url) == is_of
    blocked = domains_of(None, [domain])
    assert blocked.admit(url) == (not is_of and url.startswith("http") and "[" not in url)


@pytest.mark.parametrize("listed", [None, [], "example.com", {"a": 1}])
def test_no_list_admits_everything(listed: Any) -> None:
    assert domains_of(listed, listed).admit("https://anything.org/")


@pytest.mark.parametrize("listed", [[1], [""], ["*"], ["*.com"], ["http://"], [None]])
def test_a_list_that_says_nothing_admits_nothing(listed: list[Any]) -> None:
    assert not domains_of(listed, None).admit("https://example.com/")


def test_both_lists_hold() -> None:
    both = domains_of(["example.com"], ["ads.example.com"])
    assert both.admit("https://www.example.com/")
    assert not both.admit("https://ads.example.com/")
    assert both.hosts() == (["example.com"], ["ads.example.com"])


def test_services_are_told_hosts_only_and_of_blocked_ones_only_whole_ones() -> None:
    told = domains_of(["a.org/x", "a.org/y"], ["b.org/z", "c.org"]).hosts()
    assert told == (["a.org"], ["c.org"])


@given(st.lists(st.text()), st.text())
def test_nothing_raises(listed: list[str], url: str) -> None:
    domains_of(listed, listed).admit(url)
    domains_of(listed, listed).hosts()
