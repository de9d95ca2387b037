"""`lnlbench baseline write` and `lnlbench check` as a person and a CI job meet them; a method broken on purpose."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from recorded_runs import plan_of, record, steady, suite_file

from lnlbench.cli import check as check_command
from lnlbench.methods import registry

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def only_our_methods(monkeypatch):
    """Plug-in files that a test loads are gone after it."""
    monkeypatch.setattr(registry, "_plugins", dict(registry._plugins))


def better_by(change):
    """A second run of every job at another commit, its accuracies higher by `change`."""
    return {
        "numbers": lambda job: {name: value + change for name, value in steady(job).items() if "auc" not in name},
        "git_commit": "b" * 40,
    }


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with a suite of three seeds, a database in which it has run, and one in which it has run again."""
    folder = tmp_path_factory.mktemp("template")
    path = suite_file(folder, seeds=3)
    record(folder / "lnlbench.sqlite", plan_of(path).jobs)
    shutil.copy(folder / "lnlbench.sqlite", folder / "again.sqlite")
    record(folder / "again.sqlite", plan_of(path).jobs, **better_by(0.0))
    return folder


@pytest.fixture
def suite(template, tmp_path):
    """The suite's file in the working folder, with both databases; the default one has run once."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path / "watched.yaml"


@pytest.fixture
def again(suite, tmp_path):
    """Runs it once more in the default database."""

    def rerun(change: float = 0.0) -> None:
        if change:
            record(tmp_path / "lnlbench.sqlite", plan_of(suite).jobs, **better_by(change))
        else:
            shutil.copy(tmp_path / "again.sqlite", tmp_path / "lnlbench.sqlite")

    return rerun


def write(lnlbench, *words):
    return lnlbench("baseline", "write", "--suite", "watched.yaml", "--scale", "smoke", *words)


def check(lnlbench, *words):
    return lnlbench("check", "--suite", "watched.yaml", *words)


def test_a_baseline_is_written_where_the_check_looks_for_it(lnlbench, suite, again, tmp_path):
    ended = write(lnlbench)
    assert ended.code == 0, ended.err
    assert "results/baselines/watched.json: 4 cells of watched at smoke scale, 3 seeds each." in ended.out
    assert "12 runs of aaaaaaaaaa" in ended.out
    again()
    ended = check(lnlbench)
    assert ended.code == 0, ended.err
    assert "No regression in 8 comparisons of 4 cells." in ended.out
    assert "at most 1% of checks" in ended.out


def test_a_drop_exits_with_one_and_is_told_in_every_form(lnlbench, suite, again, tmp_path):
    write(lnlbench)
    again(-20)
    ended = check(lnlbench, "--junit", "out/junit.xml", "--markdown", "out/check.md")
    assert (ended.code, ended.err) == (1, "")
    assert "REGRESSION: 8 of 8 comparisons of 4 cells dropped." in ended.out
    assert "dropped between aaaaaaaaaa and bbbbbbbbbb" in ended.out
    root = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()
    assert len(root.findall(".//failure")) == 8
    assert "REGRESSION" in (tmp_path / "out" / "check.md").read_text(encoding="utf-8")
    as_json = check(lnlbench, "--json")
    assert as_json.code == as_json.json["exit_code"] == 1
    assert check(lnlbench, "--stat", "best", "--json").json["stats"] == ["best"]
    assert check(lnlbench, "--min-drop", "25").code == 0


def test_without_new_runs_nothing_was_measured(lnlbench, suite):
    write(lnlbench)
    ended = check(lnlbench)
    assert ended.code == 2
    assert "not run since the baseline was written" in ended.out
    assert "lnlbench run --suite watched.yaml --scale smoke --rerun" in ended.out


def test_the_advised_commands_choose_the_same_jobs(lnlbench, suite):
    assert "run --suite watched.yaml --scale smoke --seeds 1-9" in write(lnlbench, "--seeds", "1-9").err
    write(lnlbench)
    assert "run --suite watched.yaml --scale smoke --seeds 1,2 --rerun" in check(lnlbench, "--seeds", "1,2").out


def test_a_changed_suite_asks_for_a_new_baseline(lnlbench, suite, again, tmp_path):
    write(lnlbench)
    again()
    suite_file(tmp_path, seeds=3, rows=[{"label": "GCE", "method": "gce", "set": {"q": 0.5}}])
    ended = check(lnlbench)
    assert ended.code == 3
    assert "hyperparameters.q 0.7 -> 0.5" in ended.out
    assert "--out results/baselines/watched.json --replace" in ended.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--baseline", "none.json"], "there is no baseline none.json"),
        (["--baseline", "broken.json"], "is not JSON"),
        (["--suite", "quickstart"], "the baseline is of the suite 'watched'"),
        (["--suite", "no-such-suite", "--baseline", "b.json"], "no-such-suite"),
        (["--scale", "paper"], "paper"),
        (["--scale", "huge"], "unknown scale 'huge'"),
        (["--stat", "bset"], "'best'"),
        (["--alpha", "0"], "alpha is 0"),
        (["--alpha", "much"], "--alpha"),
        (["--db", "none.sqlite"], "there is no database"),
        (["--db", "broken.json"], "no lnlbench tables"),
        (["--plugin", "none.py"], "does not exist"),
        (["--no-such-option"], "No such option"),
        (["stray"], "unexpected"),
        (["--junit", "broken.json/x.xml"], "cannot write"),
    ],
)
def test_what_keeps_it_from_comparing_exits_with_three(lnlbench, suite, again, tmp_path, words, told):
    write(lnlbench, "--out", "b.json")
    again()
    (tmp_path / "broken.json").write_text("{")
    given = words if "--suite" in words else ["--suite", "watched.yaml", *words]
    ended = lnlbench("check", *(given if "--baseline" in given else [*given, "--baseline", "b.json"]))
    assert ended.code == 3
    assert told in ended.err


def test_a_bug_of_ours_does_not_look_like_a_regression(lnlbench, suite, monkeypatch):
    write(lnlbench)
    monkeypatch.setattr(check_command, "_plan", lambda *_: 1 / 0)
    ended = check(lnlbench)
    assert ended.code == 3
    assert "ZeroDivisionError" in ended.err


def test_help_is_no_error(lnlbench):
    ended = lnlbench("check", "--help")
    assert ended.code == 0
    assert "1 a regression" in " ".join(ended.out.split())


def test_an_existing_baseline_is_never_overwritten_unasked(lnlbench, suite, again, tmp_path):
    write(lnlbench)
    file = tmp_path / "results" / "baselines" / "watched.json"
    before = file.read_text()
    again(2.0)
    refused = write(lnlbench)
    assert refused.code == 2
    assert "--replace" in refused.err
    assert file.read_text() == before
    ended = write(lnlbench, "--replace")
    assert ended.code == 0
    assert "What it replaces" in ended.out
    assert [line.split()[4] for line in ended.out.splitlines() if line.startswith("GCE, digits symmetric 40%")] == [
        "Best",
        "Last",
        "Last",
        "AUC",
    ]
    assert file.read_text() != before
    again_the_same = write(lnlbench, "--replace")
    assert "Every number is as it was." in again_the_same.out
    file.write_text("{")
    assert "the old file is lost unread" in write(lnlbench, "--replace").err


def test_an_incomplete_suite_makes_no_baseline_unless_asked(lnlbench, tmp_path):
    path = suite_file(tmp_path, seeds=3)
    jobs = [job for job in plan_of(path).jobs if job.method == "ce" or job.seed == 1]
    record(tmp_path / "lnlbench.sqlite", jobs)
    refused = write(lnlbench)
    assert refused.code == 2
    assert "2 of 4 cells are not complete" in refused.err
    assert not (tmp_path / "results").exists()
    ended = write(lnlbench, "--partial")
    assert ended.code == 0
    assert "left out: GCE, digits symmetric 20%" in ended.out
    record(tmp_path / "lnlbench.sqlite", jobs, git_commit="b" * 40)
    checked = check(lnlbench)
    assert checked.code == 0
    assert "Left out of the baseline" in checked.out


def test_a_baseline_says_what_is_doubtful_about_it(lnlbench, suite, tmp_path):
    jobs = plan_of(suite).jobs
    record(tmp_path / "lnlbench.sqlite", jobs[:1], lambda job: "diverged", git_dirty=True)
    out = write(lnlbench).out
    assert "uncommitted changes" in out
    assert "different machines, versions or commits" in out
    assert "diverged with seed 1" in out
    written = write(lnlbench, "--json", "--out", "b.json").json
    assert (written["cells"], written["seeds"]) == (4, [1, 2, 3])


COPIES = """
from lnlbench.learning.losses import soft_cross_entropy
from lnlbench.methods.base import Method
from lnlbench.methods.spec import MethodSpec


class First(Method):
    spec = MethodSpec(slug="first_copy", title="First", family="loss", summary="cross-entropy", paper="none")

    def train_epoch(self, epoch):
        for batch in self.batches():
            self.learn(soft_cross_entropy(self.net(batch.weak()), TARGETS), self.net)


class Second(Method):
    spec = MethodSpec(slug="second_copy", title="Second", family="loss", summary="cross-entropy", paper="none")

    def train_epoch(self, epoch):
        for batch in self.batches():
            self.learn(RATE * soft_cross_entropy(self.net(batch.weak()), batch.one_hot), self.net)
"""
"""Cross-entropy twice as a plug-in file."""
SOUND = COPIES.replace("TARGETS", "batch.one_hot").replace("RATE", "1.0")
BROKEN = COPIES.replace(
    # Half of the labels are those of the neighbour in the batch.
    "TARGETS",
    "batch.one_hot.roll(1, 0).where(batch.indices[:, None] % 2 == 0, batch.one_hot)",
).replace("RATE", "0.01")
SMALL = {"epochs": 5, "image_size": 8, "width": 0.25, "train_subset": 700}


def outside(folder: Path, command: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, as in a CI job: the plug-in file changes between them."""
    choice = ["--suite", "watched.yaml", "--scale", "smoke", "--plugin", "copies.py", "--db", "runs.sqlite"]
    full = [sys.executable, "-m", "lnlbench", *command.split(), *choice, *words]
    return subprocess.run(full, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_methods_broken_on_purpose_are_caught_and_no_other(tmp_path):
    rows = [("Untouched", "ce"), ("Labels mixed up", "first_copy"), ("Learns too slowly", "second_copy")]
    suite_file(
        tmp_path,
        rows=[{"label": label, "method": method, "recipe": SMALL} for label, method in rows],
        columns=[{"dataset": "digits", "noise": "symmetric", "rates": [0.2]}],
        seeds=3,
    )
    for file, more in ((SOUND, []), (BROKEN, ["--rerun"])):
        (tmp_path / "copies.py").write_text(file)
        ran = outside(tmp_path, "run", "--device", "cpu", "--workers", "2", *more)
        assert ran.returncode == 0, ran.stderr
        if not more:
            written = outside(tmp_path, "baseline write", "--out", "baseline.json")
            assert written.returncode == 0, written.stderr
    ended = outside(tmp_path, "check", "--baseline", "baseline.json", "--json")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    cells = {cell["row"]: cell for cell in json.loads(ended.stdout)["cells"]}
    assert {row: cell["regressed"] for row, cell in cells.items()} == {
        "Untouched": False,
        "Labels mixed up": True,
        "Learns too slowly": True,
    }
    assert cells["Untouched"]["same_numbers"]


def test_the_check_imports_nothing_heavy(suite, lnlbench, again, tmp_path):
    write(lnlbench)
    again()
    watch = (
        "import sys\nfrom lnlbench import cli\nsys.argv = ['lnlbench', 'check', '--suite', 'watched.yaml']\n"
        "try:\n    cli.main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'sklearn', 'scipy.stats', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", watch], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["nightly", "test"])
def test_workflows_are_yaml_with_limits_and_little_power(name):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert all("@v" in step["uses"] for step in job["steps"] if "uses" in step)
