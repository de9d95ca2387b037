"""A figure's SVG made fit to stand inside a page: ids of its own, no style sheet, nothing that acts or loads.

The page's policy blocks style attributes, so each becomes the presentation attributes that it is short for. Black and
white become the page's ink and paper, which change places in the dark. Coordinates keep two decimals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from lnlbench.report.html.tables import escape

_ELEMENTS = {
    *("svg", "g", "defs", "symbol", "use", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon"),
    *("text", "tspan", "image", "clipPath", "mask", "pattern", "marker", "linearGradient", "radialGradient", "stop"),
}
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_REFERENCES = re.compile(r"""url\(#([^)]+)\)|href=["']#([^"']+)["']""")
_LONG = re.compile(r"(\.\d\d)\d+")
_BLACK = {"#000000", "#000", "black"}
_WHITE = {"#ffffff", "#fff", "white"}
_GRID = {"#dddddd"}

SCALE = 1.9
"""Pixels a unit: figures are drawn for print at 7 point, which on a screen is read at 13 pixels."""

WIDE = 300
"""Wider ones are not shrunk to a phone's width but scrolled."""


def inline(document: str, prefix: str, title: str) -> str:
    """The svg element. prefix: of its ids, so that several figures can share a page. title: its name.

    Raises ValueError for a text that is no SVG.
    """
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        raise ValueError(f"figure {title!r} is no SVG: {error}") from error
    ids = dict.fromkeys(first or second for first, second in _REFERENCES.findall(document))
    names = {name: f"{prefix}{i}" for i, name in enumerate(ids)}
    body = "".join(_element(child, names) for child in root)
    box = root.attrib.get("viewBox", "0 0 100 100")
    width = float(box.split()[2])
    kind = ' class="wide"' if width > WIDE else ""
    return (
        f'<svg role="img" aria-label="{escape(title)}"{kind} viewBox="{escape(box)}" width="{SCALE * width:.0f}">'
        f"{body}</svg>"
    )


def _element(element: ElementTree.Element, names: Mapping[str, str]) -> str:
    name = _local(element.tag)
    if name not in _ELEMENTS:
        return ""
    attributes = "".join(f' {key}="{escape(value)}"' for key, value in _attributes(element, names).items())
    inside = escape(element.text) if element.text and element.text.strip() else ""
    for child in element:
        inside += _element(child, names)
        inside += escape(child.tail) if child.tail and child.tail.strip() else ""
    return f"<{name}{attributes}>{inside}</{name}>"


def _attributes(element: ElementTree.Element, names: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in element.attrib.items():
        key = _local(name)
        if key == "style":
            pairs = (part.split(":", 1) for part in value.split(";") if ":" in part)
            found.update({left.strip(): right.strip() for left, right in pairs})
        elif key == "id":
            if value in names:
                found[key] = names[value]
        elif key == "d":
            found[key] = _LONG.sub(r"\1", value)
        elif key == "href":
            if value.startswith("#"):
                found[key] = "#" + names[value[1:]]
            elif value.startswith("data:image/"):
                found[key] = value
        elif not key.lower().startswith("on"):
            found[key] = value
    for key in ("fill", "stroke"):
        colour = found.get(key, "").lower()
        if colour in _BLACK:
            found[key] = "currentColor"
        elif colour in _WHITE or colour in _GRID:
            found["class"] = f"{found.get('class', '')} {'paper' if colour in _WHITE else 'grid'}-{key}".strip()
    return {key: _REFERENCE.sub(lambda match: f"url(#{names[match[1]]})", value) for key, value in found.items()}


def _local(name: object) -> str:
    return str(name).rpartition("}")[2]
