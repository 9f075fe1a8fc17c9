"""Pages that stand alone."""

from html.parser import HTMLParser

import numpy as np
import pytest
from jinja2 import ChoiceLoader, DictLoader, UndefinedError

from vjepa_ros import html

_EMPTY = {"meta", "img", "br", "path", "use", "rect", "!doctype"}


class Outline(HTMLParser):
    """What a page links to, and whether its tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        names = ("src", "href", "xlink:href", "srcset", "data")
        self.links += [value for name, value in attributes if name in names]
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list) -> None:
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_alone(text: str) -> Outline:
    outline = Outline(text)
    assert outline.open == []
    assert all(link.startswith(("data:", "#")) for link in outline.links), outline.links
    assert "script" not in outline.tags
    assert "@import" not in text
    return outline


def with_template(text: str) -> ChoiceLoader:
    return ChoiceLoader([DictLoader({"everything.html": text}), html.TEMPLATES.loader])


def curve(title: str) -> str:
    figure, axes = html.plot()
    axes.plot([0, 1], [0, 1], label="<one>")
    axes.legend()
    return html.figure_svg(figure, title)


EVERYTHING = """
{% extends "page.html" %}
{% from "parts.html" import figures, gallery, table %}
{% block content %}
<p>{{ text }}</p>
{{ table(["<"], [["&"]]) }}
{{ figures({"<what>": "<1>"}) }}
{{ gallery("cards", pictures) }}
{% endblock %}
"""


def test_a_page_needs_nothing_from_elsewhere_and_text_is_text(monkeypatch):
    picture = html.photo(np.zeros((8, 8, 3), np.uint8), 'a "picture" <script>')
    pictures = [
        html.Captioned(picture, "<caption>", "goal"),
        html.Captioned(picture, ""),
        html.Captioned(curve('<one "curve">'), ""),
    ]
    monkeypatch.setattr(html.TEMPLATES, "loader", with_template(EVERYTHING))
    page = html.render("everything.html", title="<b>title</b>", text="a < b", pictures=pictures)
    outline = check_alone(page)
    for said in ("<b>title</b>", "a < b", "&", "<what>", "<1>", "<caption>", "<one>"):
        assert said in outline.text
    assert outline.tags.count("img") == 2
    assert ".cards {" in page


def test_a_value_that_a_template_lacks_is_no_blank(monkeypatch):
    monkeypatch.setattr(html.TEMPLATES, "loader", with_template(EVERYTHING))
    with pytest.raises(UndefinedError, match="text"):
        html.render("everything.html", title="")


def test_a_plot_takes_the_colours_of_the_page_and_keeps_its_names_to_itself():
    one, other = curve("one"), curve("other")
    assert "currentColor" in one
    assert 'aria-label="one"' in one

    def names(text: str) -> set[str]:
        return {part.split('"')[0] for part in text.split('clipPath id="')[1:]}

    assert names(one)
    assert not names(one) & names(other)
    assert one == curve("one")  # the same bits each time
