"""Reads the pickled dicts in which CIFAR's batches come, without running anything that a pickle may ask for.

Five globals are let through (numpy's array, dtype and reconstructor, and `_codecs.encode`), and even they
are stand-ins of ours: numpy's own crash the process, or worse, when a pickle builds an object array over
bytes. Everything else is refused. Not a reader of pickles in general.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnlbench.errors import DataError

_DTYPES = {"u1": "u1", "i1": "i1", "i2": "<i2", "i4": "<i4", "i8": "<i8"}


def load_batch(name: str, content: bytes) -> dict[str, Any]:
    """The dict pickled in `content`, its keys as str, its arrays of whole numbers as numpy arrays.

    Text of Python 2 pickles comes as bytes. Raises DataError, with `name` for the file, for a pickle that
    is damaged, is no dict, or names any other global.
    """
    try:
        values = _Unpickler(name, content).load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise _damaged(name, content, str(error) or type(error).__name__) from error
    if not isinstance(values, dict):
        raise _damaged(name, content, "it holds no dict")
    try:
        return {_key(key): _array(value) for key, value in values.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(name, content, f"an array in it is malformed: {error}") from error


def _damaged(name: str, content: bytes, why: str) -> DataError:
    return DataError(
        f"{name}: cannot be read ({len(content):,} bytes): {why}.",
        "The file is incomplete or altered: extract the archive again.",
    )


class _Dtype:
    """Stands for numpy.dtype: keeps the type code."""

    def __init__(self, code: Any, *flags: Any) -> None:
        self.code = code.decode("latin-1") if isinstance(code, bytes) else code

    def __setstate__(self, state: Any) -> None:
        """Byte order and flags: of no interest for the types that `_array` takes."""


class _Array:
    """Stands for numpy's `_reconstruct` and its result: keeps the state."""

    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _ndarray(*arguments: Any) -> None:
    raise pickle.UnpicklingError("it builds a numpy array directly, which image batches never do")


def _latin1(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes in encoding {encoding!r}")
    return text.encode("latin-1")


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"{self._name}: refuses to load: it contains {module}.{name}, which image batches never need.",
                "Do not open this file with other tools; download the archive again.",
            )
        return _ALLOWED[module, name]


def _key(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _array(value: Any) -> Any:
    """The numpy array that a stand-in describes; other values as they are."""
    if not isinstance(value, _Array):
        return value
    _, shape, dtype, fortran, content = value.state
    if not isinstance(content, bytes) or not isinstance(dtype, _Dtype):
        raise ValueError("its content is not bytes")
    flat: NDArray[Any] = np.frombuffer(content, dtype=_DTYPES[dtype.code])
    return flat.reshape(shape, order="F" if fortran else "C")
