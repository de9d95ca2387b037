"""Which image files a folder holds, in an order that is the same on every machine. Imports no numpy."""

from __future__ import annotations

import os
from pathlib import Path

from lnlbench.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")
"""What is taken for an image; case does not matter."""


def list_images(root: Path, folder: str) -> list[str]:
    """Paths, relative to root, of the images in a folder, its subfolders not included, names sorted as bytes.

    Raises DataError for a folder that cannot be listed.
    """
    try:
        with os.scandir(root / folder) as entries:
            names = [e.name for e in entries if e.name.lower().endswith(SUFFIXES) and not e.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{root / folder}: cannot be listed: {error.strerror or error}.") from error
    return [f"{folder}/{name}" for name in sorted(names, key=os.fsencode)]
