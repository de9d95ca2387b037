"""Tables in LaTeX: booktabs and multirow, compiles as printed with a stock TeX Live.

The text is a table environment to \\input or paste; `document` wraps it into a file that compiles by itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby

from lnlbench.report.cells import Row, Table
from lnlbench.report.numbers import has_headings, headings, printed_lines

PACKAGES = ("booktabs", "multirow", "graphicx")

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "&": r"\&",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    # A bracket or a star after the end of a line would be read as an option of it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "✓": r"$\surd$",
    "✗": r"$\times$",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "§": r"$^{\S}$",
    "¶": r"$^{\P}$",
    "‖": r"$^{\|}$",
    "↑": r"$^{\uparrow}$",
    "↓": r"$^{\downarrow}$",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
}

# What LaTeX's default font encoding has of Latin letters and accents; others stop the compilation.
_LETTERS = "ßæÆøØœŒłŁı"
_ACCENTS = tuple("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c")


def render(table: Table) -> str:
    """A table environment, with the packages it needs in its first line."""
    lines = [
        f"% lnlbench, {escape(table.name)}, {table.scale} scale; needs \\usepackage{{{','.join(PACKAGES)}}}",
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{escape(table.caption)}}}",
        rf"\label{{tab:{_identifier(table.name)}-{table.scale}}}",
        # Shrinks a table that is too wide and leaves any other as it is.
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'ll' if has_headings(table) else 'l'}{'c' * len(headings(table))}}}",
        r"\toprule",
        *_head(table),
        r"\midrule",
        *_body(table),
        r"\bottomrule",
        r"\end{tabular}}",
        *_notes(table.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def document(table: Table) -> str:
    """A whole file around the table."""
    head = "\n".join(rf"\usepackage{{{name}}}" for name in PACKAGES)
    return f"\\documentclass{{article}}\n{head}\n\\begin{{document}}\n{render(table)}\\end{{document}}\n"


def escape(text: str) -> str:
    """Any text as LaTeX that prints it: special characters escaped, unknown ones by their code point."""
    return "".join(_ESCAPES.get(c) or _letter(c) for c in " ".join(text.split()))


def _letter(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    greek = re.fullmatch("GREEK SMALL LETTER ([A-Z]+)", unicodedata.name(character, ""))
    if greek and greek[1] != "OMICRON":
        return rf"$\{greek[1].lower().replace('lamda', 'lambda')}$"
    plain = unicodedata.normalize("NFKD", character)
    if character in _LETTERS or (plain[0].isascii() and plain[0].isalpha() and plain[1:] in _ACCENTS):
        return character
    reduced = plain.encode("ascii", "ignore").decode()
    return reduced if reduced.isalnum() else f"{{[}}U+{ord(character):04X}{{]}}"


def _identifier(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", name)


def _head(table: Table) -> Iterator[str]:
    first = 3 if has_headings(table) else 2
    spans, rules = [], []
    for group, members in groupby(headings(table), key=lambda heading: heading[0]):
        labels = [label for _, label in members]
        if group:
            spans.append(rf"\multicolumn{{{len(labels)}}}{{c}}{{{escape(group)}}}")
            rules.append(rf"\cmidrule(lr){{{first}-{first + len(labels) - 1}}}")
        else:
            spans += [rf"\multirow{{2}}{{*}}{{{escape(label)}}}" for label in labels]
        first += len(labels)
    empty = " &" if has_headings(table) else ""
    yield rf"\multirow{{2}}{{*}}{{Method}}{empty} & {' & '.join(spans)} \\"
    yield " ".join(rules)
    labels = [escape(label) if group else "" for group, label in headings(table)]
    yield f"{empty} & {' & '.join(labels)} \\\\".lstrip()


def _body(table: Table) -> Iterator[str]:
    for i, row in enumerate(table.rows):
        if i and row.group != table.rows[i - 1].group:
            yield r"\midrule"
        elif i and has_headings(table):
            yield r"\addlinespace"
        yield from _row(table, row)


def _row(table: Table, row: Row) -> Iterator[str]:
    label = escape(row.label) + escape(row.dagger)
    printed = list(printed_lines(table, row))
    for i, line in enumerate(printed):
        start = "" if i else rf"\multirow{{{len(printed)}}}{{*}}{{{label}}}" if len(printed) > 1 else label
        cells = [_cell(text, bold) for text, bold in line.all(table)]
        middle = [escape(line.heading)] if has_headings(table) else []
        yield " & ".join([start, *middle, *cells]).lstrip() + r" \\"


def _cell(text: str, bold: bool) -> str:
    return rf"\textbf{{{escape(text)}}}" if bold else escape(text)


def _notes(notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield r"\par\smallskip"
        yield r"\begin{minipage}{\linewidth}\footnotesize"
        yield " \\\\\n".join(escape(note) for note in notes)
        yield r"\end{minipage}"
