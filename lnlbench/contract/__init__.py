"""The contract that every method keeps, ours and a user's own, as a list of checks in the manner of
scikit-learn's estimator checks: `check_method("sanm(dividemix)")`. It says nothing of a method's accuracy.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lnlbench.contract.bench import Bench
from lnlbench.contract.checks import CHECKS
from lnlbench.contract.trace import Violation
from lnlbench.errors import InvalidSetting, UndeclaredNeed, unknown_name
from lnlbench.methods import registry
from lnlbench.training.devices import place

__all__ = ["CHECKS", "CheckResult", "check_method", "expressions", "run_checks"]


@dataclass(frozen=True)
class CheckResult:
    """One check of one method. message: what its author should do; empty when the check passed."""

    method: str
    name: str
    passed: bool
    message: str
    seconds: float


def expressions(names: Iterable[str] | None = None) -> list[str]:
    """What there is to check under these names, by default under all: a plug-in stands for itself over each of
    the hosts it declares, everything else for itself. Raises UnknownName, and InvalidSetting for no host."""
    found = []
    for name in registry.names() if names is None else names:
        declared = None if "(" in name else registry.spec(name)
        if declared is None or not declared.plugin:
            found.append(str(registry.parse(name)))
        elif declared.hosts:
            found += [f"{name}({host})" for host in declared.hosts]
        else:
            raise InvalidSetting(f"plug-in {name} declares no host.", 'Add one to its spec: hosts=("ce",).')
    return found


def check_method(
    expression: str,
    *,
    device: str = "cpu",
    hyperparameters: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    only: Iterable[str] | None = None,
    on_result: Callable[[CheckResult], None] = lambda result: None,
) -> list[CheckResult]:
    """Runs the checks over one method, `gce` or `sanm(dividemix)`, in a few seconds.

    hyperparameters, recipe (nested): over what the contract chooses (see synthetic.quick_job). only: names of CHECKS.
    on_result is told each result as it comes. Raises UnknownName, InvalidSetting; a method's own errors are results.
    """
    chosen = list(CHECKS if only is None else only)
    for name in chosen:
        if name not in CHECKS:
            raise unknown_name("check", name, CHECKS)
    bench = Bench(expression, place(device), hyperparameters or {}, recipe or {})
    results = []
    for name in chosen:
        started = time.monotonic()
        message = _broken(bench, name)
        result = CheckResult(str(bench.expression), name, not message, message, time.monotonic() - started)
        on_result(result)
        results.append(result)
    return results


def run_checks(
    expression: str, on_result: Callable[[CheckResult], None] = lambda result: None, *, device: str = "cpu"
) -> bool:
    """`check_method` for the command line: a plug-in's bare name stands for it over each of its hosts.

    Returns whether every check passed.
    """
    results = [r for e in expressions([expression]) for r in check_method(e, device=device, on_result=on_result)]
    return all(result.passed for result in results)


def _broken(bench: Bench, name: str) -> str:
    """What is wrong, or an empty text. What stops the run that all checks look at is told once, by its own check."""
    try:
        CHECKS[name](bench)
    except Exception as error:
        owner = _owner(error)
        if error is bench.failure and name != owner:
            return f"not checked: first put right what {owner!r} says."
        return str(error) if isinstance(error, (Violation, UndeclaredNeed)) else _told(bench, error)
    return ""


def _owner(error: Exception) -> str:
    if isinstance(error, Violation):
        return error.check
    return "declares_needs" if isinstance(error, UndeclaredNeed) else "trains"


def _told(bench: Bench, error: Exception) -> str:
    """An unforeseen error, with the last line of the method's own file on its way."""
    files = {sys.modules[registry.load(slug).__module__].__file__ for slug in bench.expression.slugs}
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if frame.filename in files] or frames
    return f"{type(error).__name__}: {error} ({mine[-1].filename}:{mine[-1].lineno}, {mine[-1].line})"
