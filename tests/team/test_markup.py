"""HTML is whole, and what is put into it as text stays text."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from addons.team.markup import joined, tag


class Reader(HTMLParser):
    """What a browser would read: elements with their attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(), st.text())
def test_no_text_becomes_markup(text: str, value: str) -> None:
    read = Reader(tag("p", text, title=value))
    assert [name for name, _ in read.elements] == ["p"]
    assert len(read.text) == len(text)


def test_elements_attributes_and_pieces() -> None:
    assert tag("a", "A & B", href="?a=1&b=2", aria_current="true", hidden=True, class_=None) == (
        '<a href="?a=1&amp;b=2" aria-current="true" hidden>A &amp; B</a>'
    )
    assert tag("p", ["x", [tag("b", 1), None], " <"]) == "<p>x<b>1</b> &lt;</p>"
    assert tag("input", name="key") == '<input name="key">'
    assert tag("rect", x=1.5) == '<rect x="1.5"/>'
    assert tag("svg", viewBox="0 0 1 1") == '<svg viewBox="0 0 1 1"></svg>'
    assert joined(["a", "b"]) == "ab"


def test_characters_that_would_hide_something_are_shown() -> None:
    assert tag("p", "a\x00b\u202ec\nd\u00a0e") == "<p>a\ufffdb\ufffdc\nd\u00a0e</p>"
