"""Tables in LaTeX: booktabs and multirow, compiles as printed with a stock TeX Live.

The text is a table environment (turned, or several, where the table is wide) to \\input or paste; `document` wraps
it into a file that compiles by itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain, groupby

from lnlbench.report.cells import Row, Table
from lnlbench.report.latex_fit import Fit, Size, fit
from lnlbench.report.numbers import has_headings, headings, printed_lines

PACKAGES = ("booktabs", "multirow", "graphicx", "rotating")

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
    """A table environment, with the packages it needs in its first line; several where one would be too small."""
    way = fit(_size(table))
    packages = ",".join(PACKAGES if way.sideways else PACKAGES[:-1])
    start = f"% lnlbench, {escape(table.name)}, {table.scale} scale; needs \\usepackage{{{packages}}}"
    return "\n".join([start, *chain.from_iterable(_part(table, way, i) for i in range(len(way.parts)))]) + "\n"


def document(*tables: Table) -> str:
    """A whole file around tables."""
    head = "\n".join(rf"\usepackage{{{name}}}" for name in PACKAGES)
    body = "\\clearpage\n".join(map(render, tables))
    return f"\\documentclass{{article}}\n{head}\n\\begin{{document}}\n{body}\\end{{document}}\n"


def _size(table: Table) -> Size:
    heads = headings(table)
    lines = [line for row in table.rows for line in printed_lines(table, row)]
    texts = [[label for _, label in heads], *([text for text, _ in line.all(table)] for line in lines)]
    label = max(len(row.label) + len(row.dagger) for row in table.rows)
    heading = 2 + max(len(line.heading) for line in lines) if has_headings(table) else 0
    return Size(
        groups=[group for group, _ in heads],
        front=label + heading,
        columns=[max(map(len, column)) for column in zip(*texts, strict=True)],
        lines=3 + len(lines) + 0.5 * len(table.rows) * has_headings(table),
        caption=len(table.caption),
        notes=[len(note) for note in table.notes],
    )


def _part(table: Table, way: Fit, i: int) -> Iterator[str]:
    start, stop = way.parts[i]
    environment, high = ("sidewaystable", r"\textwidth") if way.sideways else ("table", r"\textheight")
    yield rf"\begin{{{environment}}}" + ("" if way.sideways else "[t]")
    yield r"\centering"
    if i:
        yield r"\addtocounter{table}{-1}"
        yield rf"\caption{{{escape(table.title)}, continued.}}"
    else:
        yield rf"\caption{{{escape(table.caption)}}}"
        yield rf"\label{{tab:{_identifier(table.name)}-{table.scale}}}"
    # Shrinks a table that is too wide or too high and leaves any other as it is.
    most = f"{way.shares[i]:g}{high}"
    yield rf"\resizebox*{{!}}{{\ifdim\totalheight>{most} {most}\else\totalheight\fi}}{{%"
    yield r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    yield rf"\begin{{tabular}}{{{'ll' if has_headings(table) else 'l'}{'c' * (stop - start)}}}"
    yield r"\toprule"
    yield from _head(table, start, stop)
    yield r"\midrule"
    yield from _body(table, start, stop)
    yield r"\bottomrule"
    yield r"\end{tabular}}}"
    if stop == way.parts[-1][1]:
        yield from _notes(table.notes)
    yield rf"\end{{{environment}}}"


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


def _head(table: Table, start: int, stop: int) -> Iterator[str]:
    first = 3 if has_headings(table) else 2
    spans, rules = [], []
    for group, members in groupby(headings(table)[start:stop], key=lambda heading: heading[0]):
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
    labels = [escape(label) if group else "" for group, label in headings(table)[start:stop]]
    yield f"{empty} & {' & '.join(labels)} \\\\".lstrip()


def _body(table: Table, start: int, stop: int) -> Iterator[str]:
    for i, row in enumerate(table.rows):
        if i and row.group != table.rows[i - 1].group:
            yield r"\midrule"
        elif i and has_headings(table):
            yield r"\addlinespace"
        yield from _row(table, row, start, stop)


def _row(table: Table, row: Row, start: int, stop: int) -> Iterator[str]:
    label = escape(row.label) + escape(row.dagger)
    printed = list(printed_lines(table, row))
    for i, line in enumerate(printed):
        first = "" if i else rf"\multirow{{{len(printed)}}}{{*}}{{{label}}}" if len(printed) > 1 else label
        cells = [_cell(text, bold) for text, bold in line.all(table)[start:stop]]
        middle = [escape(line.heading)] if has_headings(table) else []
        yield " & ".join([first, *middle, *cells]).lstrip() + r" \\"


def _cell(text: str, bold: bool) -> str:
    return rf"\textbf{{{escape(text)}}}" if bold else escape(text)


def _notes(notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield r"\par\smallskip"
        yield r"\begin{minipage}{\linewidth}\footnotesize"
        yield " \\\\\n".join(escape(note) for note in notes)
        yield r"\end{minipage}"
