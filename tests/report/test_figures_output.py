"""Figures as files: the same bytes for the same numbers, labels as they are, nothing over anything else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from made_up_figures import drawn, legend_of, one, results_of

from lnlbench.errors import LnlbenchError
from lnlbench.report import figures
from lnlbench.report.figures import style

HOSTILE = ["_hidden $x_1$", "--><script>alert(1)</script> & | \\", "a\x00b\nc\ud800", "$", "方法 " + "long " * 40]
ROWS = [{"label": label, "method": "gce", "set": {"q": 0.1 + 0.1 * i}} for i, label in enumerate(HOSTILE)]


@pytest.fixture
def hostile(plan_of, monkeypatch):
    """Bars of rows with such labels; a lone surrogate cannot come from a file, but from a plug-in it can."""
    plan = plan_of(rows=[{**row, "label": f"row {i}"} for i, row in enumerate(ROWS)])
    for cells, label in zip(plan.grid, HOSTILE, strict=True):
        for cell in cells:
            object.__setattr__(cell.row, "label", label)
    return one("bars", plan, results_of(plan, lambda i, j, job: 50.0 + i))


def test_labels_are_drawn_as_they_are(hostile):
    shown = legend_of(hostile)
    assert shown[0] == "_hidden $x_1$"
    assert shown[1] == "--><script>alert(1)</script> & | \\"
    assert shown[2] == "a b c"
    assert len(shown[4]) <= 60
    assert shown[4].endswith("…")
    texts = [text for text in hostile.findobj(matplotlib.text.Text) if "$" in text.get_text()]
    assert not any(text.get_parse_math() for text in texts)


def test_hostile_labels_make_well_formed_svg_without_a_script(hostile, tmp_path, recwarn):
    svg = figures.to_svg(hostile)
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert "<script" not in svg
    assert not svg.startswith("<?xml")
    figures.save(hostile, tmp_path, "x", ("pdf", "svg", "png"))
    assert not recwarn.list


def test_ids_of_two_figures_in_one_page_do_not_meet(plan_of):
    plan = plan_of()
    results = results_of(plan, lambda i, j, job: 50.0 + i)
    ids = []
    for kind in ("bars", "rates"):
        root = ElementTree.fromstring(figures.to_svg(one(kind, plan, results)))
        ids.append({element.get("id") for element in root.iter() if element.get("id")})
        used = {element.get("{http://www.w3.org/1999/xlink}href", "")[1:] for element in root.iter()} - {""}
        assert used <= ids[-1]
    assert not ids[0] & ids[1]


FORMATS = ("pdf", "svg", "png")


def test_the_same_numbers_give_the_same_bytes_whatever_was_saved_before(plan_of, tmp_path):
    plan = plan_of()
    results = results_of(plan, lambda i, j, job: 50.0 + i + job.seed)
    for folder, formats in (("a", FORMATS), ("b", FORMATS[::-1])):
        figures.save(one("rates", plan, results), tmp_path / folder, "x", formats, dpi=80)
    for format in FORMATS:
        assert (tmp_path / "a" / f"x.{format}").read_bytes() == (tmp_path / "b" / f"x.{format}").read_bytes()


NOISE = """
import sys
from pathlib import Path
from lnlbench.job import Noise
from lnlbench.report import figures
drawing = figures.noise_figure([Noise(name="flip2", rate=0.4)], 5)
figures.save(drawing.figure, Path(sys.argv[1]), "x", ("pdf", "svg", "png"), 80)
"""


def test_another_process_with_another_matplotlibrc_gives_the_same_bytes(tmp_path):
    rc = tmp_path / "rc"
    rc.mkdir()
    (rc / "matplotlibrc").write_text("font.size: 20\naxes.facecolor: red\nsvg.hashsalt: x\n")
    for folder, more in (("a", {"PYTHONHASHSEED": "1"}), ("b", {"PYTHONHASHSEED": "2", "MPLCONFIGDIR": str(rc)})):
        subprocess.run([sys.executable, "-c", NOISE, str(tmp_path / folder)], env={**os.environ, **more}, check=True)
    for format in FORMATS:
        assert (tmp_path / "a" / f"x.{format}").read_bytes() == (tmp_path / "b" / f"x.{format}").read_bytes()


def test_pdf_files_embed_their_fonts_as_true_type_and_hold_no_date(plan_of, tmp_path):
    plan = plan_of()
    (path,) = figures.save(one("bars", plan, results_of(plan, lambda i, j, job: 50.0)), tmp_path, "x")
    content = path.read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def test_drawing_leaves_the_settings_of_matplotlib_alone(plan_of):
    before = dict(matplotlib.rcParams)
    plan = plan_of()
    figures.to_svg(one("bars", plan, results_of(plan, lambda i, j, job: 50.0)))
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_threads_draw_the_same_figure(plan_of):
    plan = plan_of()
    results = results_of(plan, lambda i, j, job: 50.0 + i)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(figures.to_svg(one("bars", plan, results)))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1


@pytest.mark.parametrize("rows", [1, 14])
def test_the_legend_lies_below_the_panels_and_inside_the_figure(plan_of, rows):
    plan = plan_of(rows=[{"label": f"Method {i}", "method": "gce", "set": {"q": 0.05 + i / 20}} for i in range(rows)])
    for kind in ("bars", "rates"):
        figure = one(kind, plan, results_of(plan, lambda i, j, job: 50.0 + i + j))
        with style.style():
            figure.draw_without_rendering()
            legend = figure.legends[0].get_window_extent()
            lowest = min(axes.get_tightbbox().y0 for axes in figure.axes)
        assert legend.y1 <= lowest
        assert legend.y0 >= 0
        assert 0 <= legend.x0 < legend.x1 <= figure.bbox.x1


def test_35_rows_have_35_looks():
    assert len({style.look(i)[:2] for i in range(35)}) == 35
    assert all(style.look(i).colour != style.look(i + 1).colour for i in range(34))


def test_a_figure_is_as_wide_as_a_column_or_a_page(plan_of):
    plan = plan_of()
    results = results_of(plan, lambda i, j, job: 50.0 + i)
    assert one("bars", plan, results).get_figwidth() == pytest.approx(3.35)
    wide = plan_of(columns=[{"dataset": d, "noise": "symmetric", "rates": [0.5]} for d in ("cifar10", "digits")])
    assert one("bars", wide, results_of(wide, lambda i, j, job: 50.0)).get_figwidth() == pytest.approx(6.9)


def test_a_caption_says_scale_seeds_and_how_to_read_it(plan_of):
    plan = plan_of()
    (drawing,) = drawn("bars", plan, results_of(plan, lambda i, j, job: 50.0))
    assert "paper scale" in drawing.caption
    assert "n = 2 seeds (1, 2)" in drawing.caption
    assert "error bars: one standard deviation" in drawing.caption
    assert "Best: test accuracy of the best epoch" in drawing.caption


def test_what_cannot_be_written_is_told(plan_of, tmp_path: Path):
    plan = plan_of()
    figure = one("bars", plan, results_of(plan, lambda i, j, job: 50.0))
    (tmp_path / "file").write_text("")
    with pytest.raises(LnlbenchError, match="cannot write"):
        figures.save(figure, tmp_path / "file", "x")


def test_a_caption_says_between_which_numbers_of_seeds_the_means_are(plan_of):
    plan = plan_of(seeds=3)
    (drawing,) = drawn("bars", plan, results_of(plan, lambda i, j, job: None if i and job.seed > 1 else 50.0))
    assert "over n = 1 to 3 seeds (planned: 1, 2, 3)" in drawing.caption
    assert "brackets" not in drawing.caption
