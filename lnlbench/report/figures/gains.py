"""Gain of every row over a baseline row (SANM's Figure 2), seed by seed."""

from __future__ import annotations

from lnlbench.report import Cell
from lnlbench.report.figures import captions, style
from lnlbench.report.figures.bars import Bar, draw_groups, entries
from lnlbench.report.figures.material import Drawing, Material, NotDrawn
from lnlbench.report.numbers import signed
from lnlbench.report.statistics import Summary, summarise
from lnlbench.suite import Figure as Wanted


def gains(material: Material) -> list[Drawing]:
    """A group a column, a bar a row but the baseline."""
    wanted = material.wanted("gains")
    if not wanted:
        raise NotDrawn("the suite's `figures:` name no baseline.")
    return [_gains(material, figure, i) for i, figure in enumerate(wanted)]


def difference(cell: Cell, base: Cell) -> Summary:
    """Mean and sample std of the cell's values minus the baseline's of the same seed; none where a run diverged."""
    if cell.diverged or base.diverged:
        return Summary(None, None, 0)
    ours, theirs = cell.values or {}, base.values or {}
    return summarise([ours[seed] - theirs[seed] for seed in ours if seed in theirs])


def _gains(material: Material, wanted: Wanted, order: int) -> Drawing:
    table = material.table(wanted.stat)
    stat = table.stats[0]
    bases = [row for row in table.rows if row.label == wanted.baseline]
    if not bases:
        raise NotDrawn(f"the baseline {wanted.baseline!r} is not among the chosen rows.")
    base = bases[0].lines[0].cells
    rows = [i for i in material.measured if table.rows[i].label != wanted.baseline]
    found = {
        (i, j): difference(table.rows[i].lines[0].cells[j], base[j]) for i in rows for j in range(len(table.columns))
    }
    columns = [j for j in range(len(table.columns)) if any(found[i, j].n for i in rows)]
    if not columns:
        raise NotDrawn(f"no row has a result for the same seed as {wanted.baseline!r}.")
    groups = []
    for j in columns:
        bars = []
        for i in rows:
            gain = found[i, j]
            failed = table.rows[i].lines[0].cells[j].diverged or base[j].diverged
            text = "" if gain.mean is None else signed(gain.mean, stat)
            bars.append(Bar(gain.mean, gain.std, text, "fail" if failed else Bar._field_defaults["instead"]))
        groups.append(bars)
    width = style.SINGLE if len(rows) * len(columns) <= 12 and len(columns) <= 2 else style.DOUBLE
    figure, (axes,) = style.panels(1, width=width)
    names = [
        f"{material.data.title(column.dataset)},\n{column.noise.label()}"
        for column in (material.plan.columns[j] for j in columns)
    ]
    looks = [material.measured.index(i) for i in rows]
    draw_groups(axes, names, groups, looks)
    axes.axhline(0, color="black", linewidth=0.6)
    unit = "" if stat in ("auc", "last_auc") else " (points)"
    axes.set_ylabel(f"Gain over {style.literal(wanted.baseline, 30)}{unit}")
    style.legend(figure, entries((material.labels[i] for i in rows), looks))
    reading = (
        f"Bars: {captions.AXES[stat].removesuffix(' (%)').lower()} minus that of {wanted.baseline} under the same "
        "seed, mean over the seeds that both have; error bars: sample standard deviation (n−1) of these paired "
        "differences; – is a pair without a common seed, fail one with a diverged run."
    )
    name = material.name("gains", *([order + 1] if order else []))
    return Drawing(name, "gains", figure, captions.of_table(table, wanted.title, reading))
