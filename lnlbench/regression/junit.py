"""A check as JUnit XML, which CI systems show test by test: one case a cell and statistic."""

from __future__ import annotations

import re
from xml.etree import ElementTree as xml

from lnlbench.regression.findings import CellCheck, Check, Move
from lnlbench.regression.words import change, heading, probability, since, summary

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""


def junit(check: Check) -> str:
    """The document. A regression is a failure, a cell that cannot be compared an error, one not measured skipped."""
    suite = xml.Element("testsuite", name=_clean(f"lnlbench check {check.suite} {check.scale}"))
    for cell in check.cells:
        for case in _cases(check, cell):
            suite.append(case)
    counts = {kind: str(len(suite.findall(f"testcase/{kind}"))) for kind in ("failure", "error", "skipped")}
    suite.attrib.update(tests=str(len(suite)), failures=counts["failure"], errors=counts["error"])
    suite.set("skipped", counts["skipped"])
    root = xml.Element("testsuites")
    root.append(suite)
    xml.indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{xml.tostring(root, encoding='unicode')}\n"


def _cases(check: Check, cell: CellCheck) -> list[xml.Element]:
    cases = [_moved(check, cell, move) for move in cell.moves]
    if cell.newly_diverged:
        case = _case(check, cell, "divergence")
        _says(case, "failure", f"diverged with seeds {', '.join(map(str, cell.diverged))}")
        cases.append(case)
    if not cases:
        cases = [_uncompared(check, cell, stat) for stat in check.stats]
    if cell.state == "partly measured" and not cell.newly_diverged:
        case = _case(check, cell, "seeds")
        _says(case, "skipped", cell.reason)
        cases.append(case)
    return cases


def _moved(check: Check, cell: CellCheck, move: Move) -> xml.Element:
    case = _case(check, cell, heading(move.stat))
    then, now = summary(move.was, move.stat), summary(move.now, move.stat)
    numbers = f"{then} -> {now}, change {change(move)}, p {probability(move.p)}"
    if move.verdict == "regression":
        _says(case, "failure", numbers, since(move))
    else:
        xml.SubElement(case, "system-out").text = _clean(numbers)
    return case


def _uncompared(check: Check, cell: CellCheck, stat: str) -> xml.Element:
    case = _case(check, cell, heading(stat))
    known = {"not comparable": "error", "not measured": "skipped", "left out": "skipped"}
    reason = cell.reason or "diverged in the baseline" * bool(cell.diverged_before) or "no such number"
    _says(case, known.get(cell.state, "skipped"), reason)
    return case


def _case(check: Check, cell: CellCheck, name: str) -> xml.Element:
    row = ", ".join(filter(None, (cell.group, cell.row)))
    # Dots part packages in most viewers.
    classname = f"{check.suite}.{check.scale}.{row.replace('.', '_')}"
    return xml.Element("testcase", classname=_clean(classname), name=_clean(f"{cell.column} {name}"))


def _says(case: xml.Element, kind: str, message: str, text: str = "") -> None:
    element = xml.SubElement(case, kind, message=_clean(message))
    element.text = _clean(text) or None


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)
