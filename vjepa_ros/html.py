"""HTML pages that stand alone: style, pictures and plots are inside the one file.

A page follows the reader's light or dark theme and fits a phone's width. Every function gives
HTML; what it is given is text, and is escaped.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vjepa_ros.images import encode_jpeg

# Of curves and arrows, by what they show; readable on white and on black.
COLOURS = {
    "model": "#3d85c6",
    "copy last": "#8d939c",
    "zero action": "#d98e2b",
    "shuffled actions": "#c9485b",
    "planned": "#ff9f1c",
    "recorded": "#2fbf71",
    "surprise": "#c9485b",
}

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1f2430; --faint: #667085;
        --line: #dfe3ea; --panel: #f5f7fa; --accent: #2a6fb0; --good: #1f9d57; --bad: #cf3b4c; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171c; --text: #e3e6eb; --faint: #98a1b0; --line: #2d333d;
          --panel: #1d2129; --accent: #6fb1ee; --good: #4bcb83; --bad: #ff7080; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground);
       max-width: 70rem; margin: 0 auto; padding: 1.2rem clamp(.8rem, 3vw, 2rem) 4rem; }
h1 { font-size: 1.55rem; line-height: 1.25; margin: .4rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; border-bottom: 1px solid var(--line);
     padding-bottom: .3rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { max-width: 46rem; } .faint, figcaption { color: var(--faint); font-size: .87em; }
a { color: var(--accent); }
img, svg, video { max-width: 100%; height: auto; display: block; }
img.plot { background: #fff; border-radius: 8px; }
svg text { fill: currentColor !important; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line);
         white-space: nowrap; }
th { color: var(--faint); font-weight: 500; }
th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; margin: .8rem 0; }
.verdict { background: var(--panel); border-left: 4px solid var(--accent); border-radius: 4px;
           padding: .6rem 1rem; }
.verdict.good { border-color: var(--good); } .verdict.bad { border-color: var(--bad); }
.cards { display: grid; gap: 1rem; margin: 1rem 0;
         align-items: start;
         grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
.cards figure { margin: 0; background: var(--panel); border-radius: 10px; padding: .7rem;
                min-width: 0; }
.cards figcaption { margin: .4rem .2rem 0; }
.cards img { border-radius: 6px; width: 100%; }
.strip { display: flex; gap: .5rem; overflow-x: auto; padding-bottom: .5rem; margin: 1rem 0; }
.strip figure { margin: 0; flex: 0 0 8.2rem; } .strip img { border-radius: 6px; width: 100%; }
.strip figure.marked img { outline: 3px solid var(--bad); outline-offset: -3px; }
.strip figure.goal { position: sticky; right: 0; background: var(--ground); padding-left: .5rem;
                     order: 1; }
.strip figure.goal img { outline: 3px solid var(--good); outline-offset: -3px; }
.figures { display: grid; gap: .8rem; margin: 1rem 0;
           grid-template-columns: repeat(auto-fit, minmax(7.2rem, 1fr)); }
.figures div { background: var(--panel); border-radius: 10px; padding: .6rem .8rem; }
.figures b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
li { overflow-wrap: anywhere; margin: .3rem 0; }
details { margin: 1rem 0; } summary { cursor: pointer; }
"""
_INK = "#010203"  # stands for the colour of the page's text in a plot


def page(title: str, parts: Iterable[str]) -> str:
    """The whole file."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def section(heading: str, *parts: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>\n" + "\n".join(parts) + "</section>"


def paragraph(text: str, style: str = "") -> str:
    """In a style such as `faint`, `verdict`, `verdict good` or `verdict bad`."""
    return f"<p{_style(style)}>{escape(text)}</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table>{line(header, "th")}{body}</table></div>'


def listing(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def figures(values: Mapping[str, str]) -> str:
    """Large numbers, by what they are."""
    tiles = "".join(
        f'<div><b>{escape(value)}</b><span class="faint">{escape(name)}</span></div>'
        for name, value in values.items()
    )
    return f'<div class="figures">{tiles}</div>'


def cards(*pictures: str) -> str:
    """What `captioned` gives side by side, as many as fit."""
    return '<div class="cards">' + "".join(pictures) + "</div>"


def strip(*pictures: str) -> str:
    """What `captioned` gives as a film strip that scrolls; its styles are `marked` and `goal`."""
    return '<div class="strip">' + "".join(pictures) + "</div>"


def captioned(picture: str, caption: str, style: str = "") -> str:
    return f"<figure{_style(style)}>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def folded(summary: str, *parts: str) -> str:
    """What is shown when it is asked for."""
    return f"<details><summary>{escape(summary)}</summary>" + "\n".join(parts) + "</details>"


def _style(style: str) -> str:
    return f' class="{style}"' if style else ""


# --- pictures ----------------------------------------------------------------------------


def photo(rgb: NDArray[np.uint8], title: str) -> str:
    """A picture [height, width, 3]."""
    return image(encode_jpeg(rgb, 85), "image/jpeg", title)


def image(data: bytes, kind: str, title: str, style: str = "") -> str:
    """The bytes of a file of a kind such as image/png."""
    packed = base64.b64encode(data).decode()
    return f'<img{_style(style)} alt="{escape(title)}" src="data:{kind};base64,{packed}">'


def figure_png(figure: Figure, title: str) -> str:
    """A plot of many points or of pictures, on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return image(buffer.getvalue(), "image/png", title, "plot")


def figure_svg(figure: Figure, title: str) -> str:
    """A plot of lines, begun by `plot()`: text and axes take the colour of the page's text.

    The title must be another one for each plot of a page: names inside the file follow it.
    """
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :].replace(_INK, "currentColor")
    return drawn.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


def plot(width: float = 4.2, height: float = 2.8) -> tuple[Figure, Any]:
    """A figure for `figure_svg`, and its axes; 4.2 inches are as wide as a phone."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_INK)
    axes.tick_params(color=_INK)
    return figure, axes
