"""HTML pages that stand alone: style, scripts, pictures and plots are inside the one file.

What a page says is written in templates/; what it shows is made here. A page follows the reader's
light or dark theme and fits a phone's width.
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
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
_INK = "#010203"  # stands for the colour of the page's text in a plot

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Captioned:
    """A picture and what is said of it; its style in a strip is `marked` or `goal`."""

    picture: Markup
    caption: str
    style: str = ""


def render(template: str, **values: Any) -> str:
    """Give the whole file; text among the values is escaped, Markup is taken as it is."""
    return TEMPLATES.get_template(template).render(values)


def photo(rgb: NDArray[np.uint8], title: str) -> Markup:
    """Give the <img> of a picture [height, width, 3]."""
    return image(encode_jpeg(rgb, 85), "image/jpeg", title)


def image(data: bytes, kind: str, title: str, style: str = "") -> Markup:
    """Give the <img> of a file's bytes, of a kind such as image/png."""
    packed = base64.b64encode(data).decode()
    return Markup('<img class="{}" alt="{}" src="data:{};base64,{}">').format(
        style, title, kind, packed
    )


def figure_png(figure: Figure, title: str) -> Markup:
    """Give a plot of many points or of pictures, on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return image(buffer.getvalue(), "image/png", title, "plot")


def figure_svg(figure: Figure, title: str) -> Markup:
    """Give a plot of lines, begun by `plot()`: text and axes take the colour of the page's text.

    The title must be another one for each plot of a page: names inside the file follow it.
    """
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :].replace(_INK, "currentColor")
    return Markup(drawn.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1))


def plot(width: float = 4.2, height: float = 2.8) -> tuple[Figure, Any]:
    """Begin a figure for `figure_svg`, with its axes; 4.2 inches are as wide as a phone."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_INK)
    axes.tick_params(color=_INK)
    return figure, axes
