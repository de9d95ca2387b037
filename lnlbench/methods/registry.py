"""Finds methods: by file name in this folder, in a user's plug-in file, or behind an entry point.

Specs of our own methods are read without importing torch: only the statements of a method file that
build its `SPEC` are executed. `load` imports the file whole and gives the class.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from lnlbench.errors import InvalidSetting, LnlbenchError, unknown_name
from lnlbench.methods.spec import MethodSpec

if TYPE_CHECKING:
    from lnlbench.methods.base import Method

FOLDER = Path(__file__).parent
ENTRY_POINTS = "lnlbench.methods"
_NOT_METHODS = {"__init__", "base", "registry", "spec"}
_LIGHT = ("__future__", "dataclasses", "typing", "lnlbench.methods.spec")
_plugins: dict[str, type[Method]] = {}


@dataclass(frozen=True)
class Expression:
    """A method as it is written: a slug, or a plug-in over a host, `sanm(dividemix)`."""

    slug: str
    host: Expression | None = None

    def __str__(self) -> str:
        return f"{self.slug}({self.host})" if self.host else self.slug

    @property
    def slugs(self) -> tuple[str, ...]:
        """The slugs from the outside in."""
        return (self.slug, *(self.host.slugs if self.host else ()))


def parse(text: str) -> Expression:
    """The expression of a text such as `sanm(dividemix)`; every slug in it must exist and fit."""
    match = re.fullmatch(r"([^()]+)(?:\((.+)\))?", text.replace(" ", "").lower())
    if not match:
        raise InvalidSetting(f"method {text!r} is not written as NAME or NAME(HOST).", "Run: lnlbench list methods")
    outer = spec(match[1])
    host = parse(match[2]) if match[2] else None
    if outer.plugin and host is None:
        example = outer.hosts[0] if outer.hosts else "ce"
        raise InvalidSetting(
            f"{outer.slug} is a plug-in over a host method.", f"Write for example {outer.slug}({example})."
        )
    if host is not None and not outer.plugin:
        raise InvalidSetting(f"{outer.slug} takes no host, so {text!r} has no meaning.")
    if host is not None and spec(host.slug).plugin:
        raise InvalidSetting(
            f"{text!r} puts a plug-in over a plug-in.", f"{outer.slug} works over a method, {outer.slug}(ce)."
        )
    if host is not None and outer.hosts and host.slug not in outer.hosts and (FOLDER / f"{host.slug}.py").is_file():
        raise InvalidSetting(
            f"{outer.slug} has no part to play in {host.slug}.",
            f"It works over: {', '.join(outer.hosts)}, and plug-in files.",
        )
    return Expression(outer.slug, host)


def names() -> list[str]:
    """Slugs of all known methods: ours, entry points', loaded plug-in files'."""
    ours = [path.stem for path in FOLDER.glob("*.py") if path.stem not in _NOT_METHODS]
    return sorted({*ours, *_plugins, *(point.name for point in _scanned(entry_points))})


@cache
def _scanned(scan: Callable[..., Iterable[EntryPoint]]) -> tuple[EntryPoint, ...]:
    """The entry points of other packages, looked for once: it means reading about every package there is."""
    return tuple(scan(group=ENTRY_POINTS))


def spec(slug: str) -> MethodSpec:
    """The spec of a method, without importing torch for our own methods."""
    if slug in _plugins:
        return _plugins[slug].spec
    path = FOLDER / f"{slug}.py"
    if slug not in _NOT_METHODS and path.is_file():
        return read_spec(path)
    return load(slug).spec


@cache
def read_spec(path: Path) -> MethodSpec:
    """Executes only the statements of a method file that its `SPEC` is built from, and returns it."""
    found = _declarations(path).get("SPEC")
    if not isinstance(found, MethodSpec):
        raise LnlbenchError(f"{path} declares no SPEC.", "A method file sets SPEC = MethodSpec(...).")
    return found


@cache
def _declarations(path: Path) -> dict[str, object]:
    """The names that the light statements of a method file define, among them what it takes from another one."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    kept = [node for node in tree.body if _declares(node)]
    module = f"lnlbench.methods.{path.stem}"
    scope: dict[str, object] = {"__name__": module}
    # dataclasses looks a class's module up while it is built; the real module is not imported yet.
    stand_in = module not in sys.modules
    if stand_in:
        sys.modules[module] = type(sys)(module)
        scope = sys.modules[module].__dict__
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (other := _method_file(node.module)) is not None:
            light = _declarations(other)
            scope.update({n.asname or n.name: light[n.name] for n in node.names if n.name in light})
    try:
        # Without this file's own future statements: annotations of a class that another one builds on are values.
        exec(compile(ast.Module(body=kept, type_ignores=[]), str(path), "exec", dont_inherit=True), scope)
        found = scope.get("SPEC")
        if isinstance(found, MethodSpec):
            # Resolve the annotations while the stand-in module is there to resolve them in.
            found.hyperparameters.describe()
    finally:
        if stand_in:
            del sys.modules[module]
    return scope


def _method_file(module: str | None) -> Path | None:
    """The file of a method by its module's name; None for any other module."""
    package, _, slug = (module or "").rpartition(".")
    path = FOLDER / f"{slug}.py"
    return path if package == "lnlbench.methods" and slug not in _NOT_METHODS and path.is_file() else None


def _declares(node: ast.stmt) -> bool:
    """Whether a statement builds the spec. Hyperparameters of another method end in `Hyper`, as one's own do."""
    if isinstance(node, ast.ImportFrom):
        return node.module in _LIGHT
    if isinstance(node, ast.ClassDef):
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        return any(base == "Hyperparameters" or base.endswith("Hyper") for base in bases)
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id.isupper() for t in node.targets)


def load(slug: str) -> type[Method]:
    """The class of a method (imports torch)."""
    if slug in _plugins:
        return _plugins[slug]
    if slug not in _NOT_METHODS and (FOLDER / f"{slug}.py").is_file():
        return _method_class(importlib.import_module(f"lnlbench.methods.{slug}"), slug)
    for point in _scanned(entry_points):
        if point.name == slug:
            found = point.load()
            return found if isinstance(found, type) else _method_class(found, slug)
    raise unknown_name("method", slug, names(), "lnlbench list methods")


def load_plugin(path: str | Path) -> list[str]:
    """Imports a user's method file and registers every method it defines; returns their slugs."""
    from lnlbench.methods.base import Method

    path = Path(path).expanduser().resolve()
    if not path.is_file():
        raise LnlbenchError(
            f"plug-in file {path} does not exist.", "Give the path of a Python file that defines a method."
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = f"lnlbench_plugin_{digest[:12]}"
    if name in sys.modules:
        module = sys.modules[name]
    else:
        found = importlib.util.spec_from_file_location(name, path)
        if found is None or found.loader is None:
            raise LnlbenchError(f"plug-in file {path} is not a Python file.", "Its name must end in .py.")
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module
        try:
            found.loader.exec_module(module)
        except LnlbenchError as error:
            del sys.modules[name]
            raise type(error)(f"plug-in file {path}: {error.message}", error.hint) from error
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise LnlbenchError(f"plug-in file {path} fails to import: {type(error).__name__}: {error}") from error
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == name and "spec" in vars(value)
    ]
    if not classes:
        raise LnlbenchError(
            f"plug-in file {path} defines no method.", "See docs/plugins.md for an example of 30 lines."
        )
    for cls in classes:
        slug = cls.spec.slug
        if (FOLDER / f"{slug}.py").is_file():
            raise LnlbenchError(
                f"plug-in file {path}: lnlbench has a method {slug!r} of its own.", "Choose another slug."
            )
        _plugins[slug] = cls
    return [cls.spec.slug for cls in classes]


def source_sha256(expression: Expression) -> str:
    """sha256 over the source files of a method, of those it builds on, and of its hosts: provenance of a run, not
    part of the key."""
    from lnlbench.methods.base import Method

    digest = hashlib.sha256()
    for slug in expression.slugs:
        for cls in load(slug).__mro__:
            if cls is not Method and issubclass(cls, Method):
                file = sys.modules[cls.__module__].__file__
                digest.update(Path(file).read_bytes() if file else slug.encode())
    return digest.hexdigest()


def _method_class(module: object, slug: str) -> type[Method]:
    for value in vars(module).values():
        declared = getattr(value, "spec", None)
        if isinstance(value, type) and isinstance(declared, MethodSpec) and declared.slug == slug:
            return value
    raise LnlbenchError(f"{module} defines no method {slug!r}.")
