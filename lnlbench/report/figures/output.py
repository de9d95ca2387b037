"""Figures as files and as text, the same bytes for the same numbers: no date, no random name in them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from lnlbench.errors import LnlbenchError
from lnlbench.report.figures.style import style

Format = Literal["pdf", "svg", "png"]
FORMATS: tuple[Format, ...] = ("pdf", "svg", "png")

_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"Creator": "lnlbench", "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
    "png": {"Software": "lnlbench"},
}


def to_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element to be put into a page.

    Its text is drawn as outlines and needs no font. Ids begin with the figure's label, so that several figures can
    stand in one page.
    """
    text = _rendered(figure, "svg", 72).decode()
    element = text[text.index("<svg") :]
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", str(figure.get_label()) or "figure")
    unique = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", element)
    # Hundredths of a point are enough, and a third of the size.
    return re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), unique)


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str] = ("pdf",), dpi: int = 300) -> list[Path]:
    """Writes `folder/name.FORMAT` for each format, over files of that name, and returns the paths.

    dpi: of PNG files. Raises LnlbenchError where a file cannot be written.
    """
    written = []
    for format in formats:
        path = folder / f"{name}.{format}"
        write(path, _rendered(figure, format, dpi))
        written.append(path)
    return written


def write(path: Path, content: bytes) -> None:
    """Writes a file and the folder that it is to lie in. Raises LnlbenchError where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise LnlbenchError(f"cannot write {path}: {error.strerror}.", "Choose another folder with --out.") from error


def _rendered(figure: Figure, format: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=format, dpi=dpi, metadata=_METADATA[format])
    return buffer.getvalue()
