"""Every table compiles with a stock LaTeX as printed, and nothing runs off a page: all of them in one document."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_up import result

from lnlbench.report import build_table, latex
from lnlbench.suite import load_suite, suite_names

TEX = shutil.which("pdflatex") or shutil.which("tectonic")
GOLDEN = Path(__file__).parent / "golden"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(TEX is None, reason="no pdflatex or tectonic on PATH")]


def compiled(text: str, folder: Path) -> str:
    """The log of a document that compiles."""
    (folder / "table.tex").write_text(text, encoding="utf-8")
    options = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in str(TEX) else ["--keep-logs"]
    done = subprocess.run([str(TEX), *options, "table.tex"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return (folder / "table.log").read_text(encoding="utf-8", errors="replace")


def off_the_page(log: str) -> list[str]:
    """What TeX says of boxes wider or higher than the page; a point is less than the eye sees."""
    found = [line for line in log.splitlines() if "Float too large" in line]
    return found + [m[0] for m in re.finditer(r"Overfull \\[hv]box \(([\d.]+)pt.*", log) if float(m[1]) > 1]


def test_every_golden_table(tmp_path):
    tables = [path.read_text(encoding="utf-8") for path in sorted(GOLDEN.glob("*.tex"))]
    assert len(tables) > 5
    empty = latex.document()
    compiled(empty.replace("\\end{document}", "\\clearpage\n".join(tables) + "\\end{document}"), tmp_path)


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
def test_every_suite_at_every_scale(tmp_path, filled):
    tables = []
    for name in suite_names():
        suite = load_suite(name)
        for scale in suite.scales:
            plan = suite.plan(scale)
            runs = [made_up(job) for job in plan.jobs] if filled else []
            tables.append(build_table(plan, runs, compare=True, ranked=True))
            tables.append(build_table(plan, runs, stats=["best", "last", "auc", "last_auc"]))
    assert off_the_page(compiled(latex.document(*tables), tmp_path)) == []


def made_up(job):
    value = 10 + 80 * int(job.key[:6], 16) / 16**6
    return result(job, value, last10=value, best_auc=value / 100, last_auc=value / 101)
