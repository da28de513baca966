"""The pool as a page in mitmweb."""

import re

from addons.team.pool_page import pool_content, pool_page
from tests.team.reports import full


def test_an_account_that_cools_down_has_a_button():
    shown = pool_content(full(), "token-of-the-page")
    forms = re.findall(r"<form.*?</form>", shown)
    assert len(forms) == 1
    assert 'name="account" value="claude:1"' in forms[0]
    assert 'name="_xsrf" value="token-of-the-page"' in forms[0]
    assert 'method="post" action="/gateway/pool/resume"' in forms[0]


def test_what_runs_comes_first():
    shown = pool_content(full(), "")
    places = [shown.index(f'id="{name}"') for name in ("running", "accounts", "providers", "failovers", "failed")]
    assert places == sorted(places)
    assert "claude-opus-5-5" in shown


def test_the_page_says_where_else_to_look():
    whole = pool_page(full(), "t", "http://127.0.0.1:4000/gateway/")
    assert '<a href="/" class="button">Requests</a>' in whole
    assert 'href="http://127.0.0.1:4000/gateway/"' in whole
    assert whole.count("<script>") == 1
