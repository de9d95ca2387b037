"""The baseline file: what is in it, when it is refused, that it says what a new one changes, that damage is seen."""

from __future__ import annotations

import dataclasses

import pytest
from recorded_runs import DATA, baseline_of, plan_of, record, steady, suite_file

from lnlbench.regression import BaselineError, Incomplete, read_baseline, replaced, write_baseline
from lnlbench.regression.writing import as_text


@pytest.fixture
def file(tmp_path, baseline):
    """The baseline, written."""
    path = tmp_path / "baselines" / "watched.json"
    write_baseline(baseline, path)
    return path


def test_it_is_read_back_as_it_was_written(file, baseline):
    assert read_baseline(file) == baseline
    assert [path.name for path in file.parent.iterdir()] == ["watched.json"]


def test_it_holds_every_seeds_numbers_and_how_they_were_made(baseline, watched):
    assert len(baseline.cells) == 4
    cell = baseline.cells[0]
    jobs = [job for job in watched.jobs if job.method == "ce" and job.noise.rate == 0.2]
    assert [run.key for run in cell.runs] == [job.key for job in jobs]
    assert cell.values("best") == {job.seed: steady(job)["best"] for job in jobs}
    assert cell.values("auc") == {job.seed: steady(job)["best_auc"] for job in jobs}
    assert cell.values("valid") == {}
    assert cell.test_images == 360
    assert cell.job["recipe"]["epochs"] == 20
    assert baseline.data == {"digits": DATA}
    (environment,) = baseline.environments
    assert (environment["git_commit"], environment["runs"]) == ("a" * 40, 20)


def test_the_same_runs_give_the_same_bytes_and_a_seed_has_a_line(ran, watched, baseline):
    text = as_text(baseline)
    assert text == as_text(baseline_of(watched, ran))
    lines = text.splitlines()
    assert sum(line.strip().startswith('{"seed": ') for line in lines) == 20
    changed = dataclasses.replace(
        baseline.cells[0],
        runs=(dataclasses.replace(baseline.cells[0].runs[0], values={"best": 1.0}), *baseline.cells[0].runs[1:]),
    )
    other = as_text(dataclasses.replace(baseline, cells=(changed, *baseline.cells[1:]))).splitlines()
    moved = [a for a, b in zip(lines, other, strict=True) if a != b]
    assert [line.split('"')[1] for line in moved] == ["seed", "content_sha256"]


def test_the_newest_runs_go_in(db, watched):
    record(db, watched.jobs, lambda job: {"best": 70.0 + job.seed}, git_commit="b" * 40, git_dirty=True)
    made = baseline_of(watched, db)
    assert made.cells[0].values("best") == {seed: 70.0 + seed for seed in range(1, 6)}
    assert [(e["git_commit"], e["git_dirty"]) for e in made.environments] == [("b" * 40, True)]


def test_runs_under_different_versions_are_kept_apart(db, watched):
    record(db, [job for job in watched.jobs if job.seed == 1], versions={"torch": "9.9"})
    made = baseline_of(watched, db)
    assert [e["runs"] for e in made.environments] == [4, 16]
    assert [run.environment for run in made.cells[0].runs] == [0, 1, 1, 1, 1]


def test_incomplete_cells_are_refused_or_left_out_when_asked(tmp_path, watched):
    db = tmp_path / "part.sqlite"
    record(db, [job for job in watched.jobs if job.method == "ce" or job.seed < 3])
    record(db, [job for job in watched.jobs if job.method == "gce" and job.seed == 2], lambda job: "failed")
    with pytest.raises(Incomplete) as refused:
        baseline_of(watched, db)
    assert "2 of 4 cells are not complete" in refused.value.message
    assert "GCE, digits symmetric 20%: seeds 3, 4, 5 not run; seed 2 failed" in refused.value.message
    assert "--partial" in str(refused.value.hint)
    made = baseline_of(watched, db, partial=True)
    assert [cell.row for cell in made.cells] == ["Cross-Entropy"] * 2
    assert made.left_out == (("", "GCE", "digits symmetric 20%"), ("", "GCE", "digits symmetric 40%"))


def test_without_a_whole_cell_there_is_nothing_to_write_even_in_part(tmp_path, watched):
    db = tmp_path / "none.sqlite"
    record(db, watched.jobs[:2])
    with pytest.raises(Incomplete) as refused:
        baseline_of(watched, db, partial=True)
    assert "--partial" not in str(refused.value.hint)


def test_one_seed_is_no_distribution(tmp_path, db):
    with pytest.raises(BaselineError, match="one seed"):
        baseline_of(plan_of(suite_file(tmp_path), seeds=1), db)


def test_results_on_different_data_do_not_go_into_one_baseline(db, watched):
    record(db, watched.jobs[:1], data_fingerprint="e" * 64)
    with pytest.raises(BaselineError, match="2 different copies"):
        baseline_of(watched, db)


def test_a_diverged_run_goes_in_as_such(db, watched):
    record(db, watched.jobs[:1], lambda job: "diverged")
    cell = baseline_of(watched, db).cells[0]
    assert cell.diverged == (1,)
    assert sorted(cell.values("best")) == [2, 3, 4, 5]


def test_hostile_labels_survive(tmp_path):
    label = 'A"\\<script>&|_ü\n\t'
    plan = plan_of(suite_file(tmp_path, rows=[{"label": label, "method": "ce", "group": "{g}"}], seeds=2))
    db = tmp_path / "hostile.sqlite"
    record(db, plan.jobs)
    made = baseline_of(plan, db)
    write_baseline(made, tmp_path / "b.json")
    assert read_baseline(tmp_path / "b.json").cells[0].place == ("{g}", label, "digits symmetric 20%")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda text: "", "is not JSON"),
        (lambda text: text[: len(text) // 2], "is not JSON"),
        (lambda text: "[" * 100_000, "is not JSON"),
        (lambda text: "[1, 2]", "is no lnlbench baseline"),
        (lambda text: '{"lnlbench_baseline": 99}', "format 99"),
        (lambda text: '{"lnlbench_baseline": 1}', "'suite'"),
        (lambda text: text.replace('"epochs": 20', '"epochs": 21', 1), "checksum"),
        (lambda text: text.replace('"seed": 2,', '"seed": 7,', 1), "the key of"),
        (lambda text: text.replace('"best": 90', '"best": NaN, "x": 90', 1), "not finite"),
        (lambda text: text.replace('"environment": 0', '"environment": 5', 1), "not listed"),
        (lambda text: text.replace('"test_images": 360', '"test_images": 0', 1), "0 test images"),
        (lambda text: text.replace("digits symmetric 20%", "digits symmetric 40%"), "a cell twice"),
        (lambda text: text.replace('"best": 90', '"best": 99', 1), "was altered"),
        (lambda text: text.replace("content_sha256", "other"), "content_sha256"),
    ],
)
def test_damage_is_told(file, damage, told):
    file.write_text(damage(file.read_text()))
    with pytest.raises(BaselineError) as refused:
        read_baseline(file)
    assert told in refused.value.message
    assert str(file) in refused.value.message


def test_a_missing_file_names_the_command_and_a_folder_is_no_file(tmp_path):
    with pytest.raises(BaselineError, match="lnlbench baseline write"):
        read_baseline(tmp_path / "none.json")
    with pytest.raises(BaselineError, match="cannot be read"):
        read_baseline(tmp_path)


def test_what_a_new_baseline_moves_is_known(db, watched, baseline, tmp_path):
    assert replaced(baseline, baseline) == replaced(baseline, dataclasses.replace(baseline, written={}))
    assert replaced(baseline, baseline).cells == ()
    rows = [
        {"label": "GCE", "method": "gce", "recipe": {"epochs": 30}},
        {"label": "Co-teaching", "method": "coteaching"},
    ]
    plan = plan_of(suite_file(tmp_path, rows=rows))
    record(db, plan.jobs, lambda job: {**steady(job), "best": 50.0 + job.seed})
    moved = replaced(baseline, baseline_of(plan, db))
    assert [(name, stat) for name, stat, _, _ in moved.cells] == [
        ("GCE, digits symmetric 20%", "best"),
        ("GCE, digits symmetric 40%", "best"),
    ]
    assert moved.cells[0][3] == (51.0, 52.0, 53.0, 54.0, 55.0)
    assert "Cross-Entropy, digits symmetric 20%: gone" in moved.told
    assert "Co-teaching, digits symmetric 20%: new" in moved.told
    assert any("another recipe" in text for text in moved.told)
