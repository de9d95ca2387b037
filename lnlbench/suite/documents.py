"""YAML files read with the line of every key, so that an error names the file and the line to look at.

What the keys mean is `layout.py`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lnlbench.errors import InvalidSetting, LnlbenchError, unknown_name
from lnlbench.settings import Settings

S = TypeVar("S", bound=Settings)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Numbers(_Loader):  # type: ignore[misc]
    """Reads 1e-3 as a number, which YAML 1.1 takes for text."""


_Numbers.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


class Located(dict[str, Any]):
    """A mapping of a YAML file that knows its lines (from 1)."""

    def __init__(self, values: Mapping[str, Any], file: Path, line: int, lines: Mapping[str, int]) -> None:
        super().__init__(values)
        self.file = file
        self.line = line
        self.lines = dict(lines)

    def over(self, base: Located) -> Located:
        """This mapping's keys in place of those of `base`."""
        return Located({**base, **self}, self.file, self.line, {**base.lines, **self.lines})

    def without(self, name: str) -> Located:
        """All keys but one."""
        return Located({k: v for k, v in self.items() if k != name}, self.file, self.line, self.lines)

    def error(self, error: LnlbenchError, key: str | None = None) -> LnlbenchError:
        """The same error with file and line in front: of `key`, else of the first key or value that its text names."""
        if error.message.startswith(str(self.file)):
            return error
        named = [key] if key else re.findall(r"'([^']+)'", error.message)
        candidates = (find(name) for name in named for find in (self._find, self._find_value))
        line = next((found for found in candidates if found is not None), self.line)
        return type(error)(f"{self.file}, line {line}: {error.message}", error.hint)

    def _find(self, name: str) -> int | None:
        if name in self.lines:
            return self.lines[name]
        nested = (value._find(name) for value in self.values() if isinstance(value, Located))
        return next((line for line in nested if line is not None), None)

    def _find_value(self, text: str) -> int | None:
        for name, value in self.items():
            if value == text:
                return self.lines[name]
            if isinstance(value, Located) and (found := value._find_value(text)) is not None:
                return found
        return None


def read(path: Path) -> Located:
    """The mapping that a YAML file holds. Raises InvalidSetting naming file, line and what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path} cannot be read: {error}.", "Give the path of a YAML file.") from error
    loader = _Numbers(text)
    try:
        node = loader.get_single_node()
        found = _build(node, loader, path, ()) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        # What is missing at the end of a file is missed in the line after its last.
        line = f", line {min(mark.line + 1, len(text.splitlines()))}" if mark else ""
        raise InvalidSetting(f"{path}{line}: not valid YAML: {getattr(error, 'problem', None) or error}.") from error
    finally:
        loader.dispose()
    if not isinstance(found, Located):
        raise InvalidSetting(f"{path}, line 1: expected names with values, as in 'title: ...'.")
    return found


def _build(node: yaml.Node, loader: Any, path: Path, parents: tuple[yaml.Node, ...]) -> Any:
    if node in parents:
        raise InvalidSetting(f"{path}, line {node.start_mark.line + 1}: an alias that contains itself.")
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, loader, path, (*parents, node)) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _build(key_node, loader, path, (*parents, node))
        if not isinstance(key, str):
            raise InvalidSetting(f"{path}, line {line}: {key!r} is no name.", "Put it in quotes if it is meant as one.")
        if key in values:
            raise InvalidSetting(f"{path}, line {line}: {key!r} is given twice, first in line {lines[key]}.")
        values[key] = _build(value_node, loader, path, (*parents, node))
        lines[key] = line
    return Located(values, path, node.start_mark.line + 1, lines)


def build(cls: type[S], raw: Mapping[str, Any]) -> S:
    """Settings from a mapping. Errors name the line of the key where there is one, and the nearest key."""
    if not isinstance(raw, Located):
        return cls.from_dict(raw)
    for name in raw:
        if name not in cls.names():
            raise raw.error(unknown_name(cls.kind, name, cls.names()), name)
    try:
        return cls.from_dict(raw)
    except LnlbenchError as error:
        raise raw.error(error) from None


def mappings(raw: Located, key: str) -> Iterator[Located]:
    """The entries of a list of mappings."""
    value = raw.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(item, Located) for item in value):
        problem = "is missing" if value is None else "is not a list of mappings"
        raise raw.error(InvalidSetting(f"{key!r} {problem}.", f"Write under {key}: one line '- {{name: value}}' each."))
    yield from value
