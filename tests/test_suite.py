"""Suites: what the shipped files say, how they expand, and what a user is told about a broken one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lnlbench.errors import InvalidSetting, LnlbenchError, UnknownName
from lnlbench.job import Recipe
from lnlbench.methods import registry
from lnlbench.report import reference
from lnlbench.suite import adhoc_plan, load_recipe, load_suite, recipe_names, suite_names

SMALL = {
    "title": "A table",
    "recipe": "sanm-cifar",
    "seeds": 2,
    "columns": [
        {"dataset": "digits", "noise": "symmetric", "rates": [0.2, 0.5]},
        {"dataset": "cifar10", "noise": {"name": "asymmetric", "draw": "ours"}, "rates": [0.2]},
    ],
    "rows": [
        {"label": "CE", "method": "ce"},
        {"label": "DivideMix", "method": "dividemix", "set": {"T": 0.4}},
        {"label": "SANM(DivideMix)", "method": "SANM (DivideMix)", "set": {"host.T": 0.3}, "recipe": {"pad": 2}},
        {"label": "Unknown", "method": "sanm(no_such_host)"},
    ],
}


@pytest.fixture
def write(tmp_path):
    """Writes a suite file: changes to `SMALL`, or whole text."""

    def written(text: str | None = None, name: str = "mine.yaml", **changes: object) -> Path:
        path = tmp_path / name
        kept = {key: value for key, value in {**SMALL, **changes}.items() if value is not None}
        path.write_text(text if text is not None else yaml.safe_dump(kept, sort_keys=False))
        return path

    return written


@pytest.fixture
def small(write):
    """The suite `SMALL`."""
    return load_suite(write())


@pytest.mark.parametrize("name", suite_names())
def test_every_shipped_suite_expands_at_every_scale_to_noises_that_can_be_drawn(name):
    suite = load_suite(name)
    for scale in suite.scales:
        plan = suite.plan(scale)
        plan.check()
        assert len(plan.cells) == len(plan.rows) * len(plan.columns)
        assert len(plan.jobs) == suite.job_count(scale)
        assert {job.scale for job in plan.jobs} == {scale}


@pytest.mark.parametrize("name", suite_names())
def test_every_shipped_suite_names_published_cells_that_exist(name):
    suite = load_suite(name)
    layout = suite.layouts[suite.default_scale]
    if layout.published is None:
        return
    printed = {cell.method for cell in reference.cells(layout.published)}
    assert {row.published.get("method", row.method) for row in layout.rows} <= printed


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_names_methods_of_the_registry_or_the_literature(name):
    literature = {cell.method for table in reference.table_names() for cell in reference.cells(table)}
    for section in load_recipe(name).values():
        assert set(section.methods) <= {*registry.names(), *literature}


def test_sanm_table1_has_the_rows_of_the_paper_in_order():
    plan = load_suite("sanm-table1").plan("paper")
    printed = list(dict.fromkeys(cell.method for cell in reference.cells("sanm-table1")))
    assert [row.method for row in plan.rows] == printed
    assert [(c.dataset, c.noise.rate) for c in plan.columns] == [
        (dataset, rate) for dataset in ("cifar10", "cifar100") for rate in (0.2, 0.5, 0.8, 0.9)
    ]


def test_quickstart_needs_no_download_and_no_choice_of_scale():
    plan = load_suite("quickstart").plan()
    assert plan.scale == "smoke"
    assert {job.dataset for job in plan.jobs} == {"digits"}
    assert not plan.missing_rows


def test_the_suite_s_paper_recipe_is_the_paper_s():
    job = load_suite("sanm-table1").plan("paper", methods=["ce"]).jobs[0]
    recipe = job.recipe
    assert (recipe.backbone, recipe.epochs, recipe.batch_size) == ("preact_resnet18", 300, 64)
    assert (recipe.optimizer.lr, recipe.optimizer.weight_decay, recipe.schedule.milestones) == (0.02, 5e-4, (150.0,))


def test_the_first_seed_of_every_cell_comes_before_the_second_of_any(small):
    jobs = small.plan("smoke").jobs
    assert [job.seed for job in jobs] == [1] * 9 + [2] * 9
    assert [job.method for job in jobs[:9]] == ["ce"] * 3 + ["dividemix"] * 3 + ["sanm(dividemix)"] * 3


def test_a_job_that_two_cells_share_is_planned_once(write):
    rows = [{"label": "CE", "method": "ce"}, {"label": "CE again", "method": "ce"}]
    plan = load_suite(write(rows=rows)).plan("smoke")
    assert len(plan.jobs) == 6
    assert plan.grid[0][0].jobs == plan.grid[1][0].jobs


def test_a_row_without_a_method_stays_in_the_table_without_jobs(small):
    plan = small.plan("smoke")
    assert [row.label for row in plan.missing_rows] == ["Unknown"]
    assert all(not cell.jobs for cell in plan.grid[3])


def test_the_recipe_file_s_hyperparameters_reach_a_method_also_as_a_host_and_are_weaker_than_the_row_s(small):
    plan = small.plan("smoke")
    alone, hosted = (plan.grid[i][0].jobs[0] for i in (1, 2))
    assert alone.hyperparameters["warmup_epochs"] == 1
    assert hosted.hyperparameters["host"]["warmup_epochs"] == 1
    assert alone.hyperparameters["T"] == 0.4
    assert hosted.hyperparameters["host"]["T"] == 0.3
    assert (alone.recipe.pad, hosted.recipe.pad) == (1, 2)


def test_settings_of_the_command_line_are_stronger_than_the_row_s_and_skip_rows_that_do_not_know_them(small):
    plan = small.plan("smoke", settings={"T": 0.9, "epochs": 5, "lr": 0.1})
    ce, dividemix, hosted = (plan.grid[i][0].jobs[0] for i in range(3))
    assert dividemix.hyperparameters["T"] == 0.9
    assert hosted.hyperparameters["host"]["T"] == 0.9
    assert "T" not in ce.hyperparameters
    assert {job.recipe.epochs for job in plan.jobs} == {5}
    assert {job.recipe.optimizer.lr for job in plan.jobs} == {0.1}


def test_a_setting_that_no_selected_row_knows_is_an_error_with_the_nearest_name(small):
    with pytest.raises(UnknownName, match="warmup_epochs"):
        small.plan("smoke", settings={"warmup_epoch": 3})
    with pytest.raises(UnknownName, match="'T'"):
        small.plan("smoke", methods=["ce"], settings={"T": 0.9})


def test_a_bad_value_of_a_setting_names_the_row(small):
    with pytest.raises(InvalidSetting, match=r"mine, row 'DivideMix': hyperparameter 'T'"):
        small.plan("smoke", settings={"T": -1})


@pytest.mark.parametrize(
    ("wanted", "labels"),
    [
        (["ce"], ["CE"]),
        (["dividemix"], ["DivideMix"]),
        (["sanm(dividemix)"], ["SANM(DivideMix)"]),
        (["sanm"], ["SANM(DivideMix)", "Unknown"]),
        (["Dividemix", "ce"], ["CE", "DivideMix"]),
    ],
)
def test_methods_are_chosen_by_expression_or_slug_in_the_order_of_the_table(small, wanted, labels):
    assert [row.label for row in small.plan("smoke", methods=wanted).rows] == labels


def test_a_method_that_the_suite_lacks_becomes_a_row(small):
    assert [row.label for row in small.plan("smoke", methods=["gce"]).rows] == ["GCE"]
    assert [row.label for row in small.plan("smoke", methods=["ce", "sanm(ce)"]).rows] == ["CE", "SANM(Cross-Entropy)"]
    with_it = small.plan("smoke", also=["gce", "ce"])
    assert [row.label for row in with_it.rows] == ["CE", "DivideMix", "SANM(DivideMix)", "Unknown", "GCE"]


@pytest.mark.parametrize(
    ("filters", "nearest"),
    [
        ({"methods": ["dividmix"]}, "dividemix"),
        ({"also": ["dividmix"]}, "dividemix"),
        ({"datasets": ["cifar1O"]}, "cifar10"),
        ({"noises": ["symetric"]}, "symmetric"),
        ({"rates": [0.3]}, "0.2, 0.5"),
        ({"datasets": ["cifar10"], "rates": [0.5]}, "cifar10 asymmetric 20%"),
    ],
)
def test_a_filter_that_matches_nothing_says_what_there_is(small, filters, nearest):
    with pytest.raises(UnknownName, match=nearest):
        small.plan("smoke", **filters)


def test_columns_are_chosen_by_data_set_noise_and_rate(small):
    def chosen(**filters):
        return [(c.dataset, c.noise.name, c.noise.rate) for c in small.plan("smoke", **filters).columns]

    assert chosen(datasets=["cifar10"]) == [("cifar10", "asymmetric", 0.2)]
    assert chosen(noises=["symmetric"], rates=[0.5]) == [("digits", "symmetric", 0.5)]
    assert len(chosen(rates=[0.2])) == 2


@pytest.mark.parametrize(("given", "seeds"), [(None, (1, 2)), (3, (1, 2, 3)), ([7, 4], (7, 4))])
def test_seeds_are_a_number_or_a_list(small, given, seeds):
    plan = small.plan("smoke", seeds=given)
    assert plan.seeds == seeds
    assert tuple(job.seed for job in plan.cells[0].jobs) == seeds


@pytest.mark.parametrize("seeds", [0, [], [1, 1]])
def test_no_seed_or_one_twice_is_refused(small, seeds):
    with pytest.raises(InvalidSetting, match="seed"):
        small.plan("smoke", seeds=seeds)


def test_a_key_of_a_scale_replaces_the_suite_s(write):
    columns = [{"dataset": "digits", "noise": "clean"}]
    suite = load_suite(write(scales={"smoke": {"columns": columns, "seeds": [9]}, "desk": None}))
    assert [c.noise.label() for c in suite.plan("smoke").columns] == ["clean"]
    assert suite.plan("smoke").seeds == (9,)
    assert len(suite.plan("desk").columns) == 3


def test_a_column_s_recipe_is_weaker_than_the_row_s(write):
    columns = [{"dataset": "digits", "noise": "clean", "recipe": {"pad": 3, "epochs": 7}}]
    plan = load_suite(write(columns=columns)).plan("smoke")
    assert [(cell.jobs[0].recipe.pad, cell.jobs[0].recipe.epochs) for cell in plan.cells[:3]] == [
        (3, 7),
        (3, 7),
        (2, 7),
    ]


def test_unknown_suites_scales_and_recipes_get_the_nearest_name(small, write):
    with pytest.raises(UnknownName, match="sanm-table1"):
        load_suite("sanm-tabel1")
    with pytest.raises(UnknownName, match="paper"):
        small.plan("papr")
    with pytest.raises(UnknownName, match=r"line 2: there is no recipe file .*absent\.yaml(.|\n)*the suite's folder"):
        load_suite(write(recipe="absent.yaml"))
    with pytest.raises(UnknownName, match=r"unknown backbone 'smalcnn'(.|\n)*smallcnn"):
        small.plan("smoke", settings={"backbone": "smalcnn"}).check()
    with pytest.raises(UnknownName, match=r"mine\.yaml, line 2: unknown recipe 'sanm-cifr'(.|\n)*sanm-cifar"):
        load_suite(write(recipe="sanm-cifr"))


def _broken(*lines: str) -> str:
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (_broken("title: A", "  recipe: b"), 2, "not valid YAML"),
        (_broken("title: A", "seeds: [1, 2"), 2, "not valid YAML"),
        (_broken("- a", "- b"), 1, "names with values"),
        ("", 1, "names with values"),
        (_broken("title: A", "seeds: 1", "title: B"), 3, "'title' is given twice"),
        (_broken("title: A", "1: B"), 2, "1 is no name"),
        (_broken("title: A"), 1, "'recipe' is missing"),
        (_broken("title: A", "recipe: sanm-cifar"), 1, "'columns' is missing"),
        (_broken("title: A", "recipe: sanm-cifar", "columns: 3"), 3, "'columns' is not a list"),
        (_broken("title: A", "recipe: sanm-cifar", "scales: {pape: {}}"), 3, "unknown scale 'pape'"),
        (_broken("title: A", "recipe: quickstart", "scales: {paper: {}}"), 3, "no scale 'paper'"),
        (_broken("a: &x", "  b: *x"), 1, "alias"),
    ],
)
def test_a_broken_file_is_one_message_with_file_and_line(write, text, line, says):
    path = write(text)
    with pytest.raises(LnlbenchError) as caught:
        load_suite(path)
    assert caught.value.message.startswith(str(path))
    assert f"line {line}" in caught.value.message
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seeds: 2", "seed: 2", "Did you mean 'seeds'"),
        ("seeds: 2", "seeds: two", "suite key 'seeds'"),
        ("seeds: 2", "seeds: 2\nstats: [bets]", "one of best, last"),
        ("seeds: 2", "seeds: 2\nnoise: {drow: ours}", "Did you mean 'draw'"),
        ("- dataset: digits", "- dataset: digit", "Did you mean 'digits'"),
        ("label: CE", "lable: CE", "Did you mean 'label'"),
        ("method: ce", "method: 'sanm('", "NAME(HOST)"),
        ("rates:\n  - 0.2\n  - 0.5", "rates: [0.2, 1.5]", "out of range"),
        ("draw: ours", "drow: ours", "Did you mean 'draw'"),
        ("draw: ours", "draw: theirs", "one of ours, released"),
    ],
)
def test_a_wrong_key_or_value_names_its_line_and_what_is_allowed(write, old, new, says):
    text = yaml.safe_dump(SMALL, sort_keys=False)
    assert old in text
    path = write(text.replace(old, new, 1))
    wrong = new.splitlines()[-1]
    line = next(i for i, found in enumerate(path.read_text().splitlines(), 1) if wrong in found)
    with pytest.raises(LnlbenchError) as caught:
        load_suite(path)
    assert caught.value.message.startswith(f"{path}, line {line}: ")
    assert says in str(caught.value)


def test_numbers_with_an_exponent_are_numbers(write):
    columns = [{"dataset": "digits", "noise": "clean"}]
    text = yaml.safe_dump({**SMALL, "columns": columns, "rows": [{"label": "CE", "method": "ce"}]}, sort_keys=False)
    path = write(text.replace("method: ce", "method: ce\n  recipe: {optimizer: {lr: 1e-3}}"))
    assert load_suite(path).plan("smoke").jobs[0].recipe.optimizer.lr == 1e-3


def test_a_user_s_recipe_lies_beside_the_suite_and_is_checked(write, tmp_path):
    (tmp_path / "own.yaml").write_text("smoke:\n  recipe: {epochs: 2}\n")
    suite = load_suite(write(recipe="own.yaml"))
    assert suite.scales == ("smoke",)
    assert suite.plan("smoke").jobs[0].recipe == Recipe(epochs=2)
    (tmp_path / "bad.yaml").write_text("smoke:\n  recipe:\n    epoch: 2\n")
    with pytest.raises(UnknownName, match=r"bad\.yaml, line 3: unknown recipe setting 'epoch'(.|\n)*epochs"):
        load_suite(write(recipe="bad.yaml"))


def test_suites_of_the_user_s_folder_are_known_by_name(write, tmp_path, monkeypatch):
    write()
    monkeypatch.setenv("LNLBENCH_SUITES", str(tmp_path))
    assert "mine" in suite_names()
    assert load_suite("mine").title == "A table"
    write(name="quickstart.yaml")
    with pytest.raises(LnlbenchError, match="two suites are called 'quickstart'"):
        suite_names()


def test_a_suites_folder_that_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("LNLBENCH_SUITES", str(tmp_path / "nowhere"))
    with pytest.raises(LnlbenchError, match="nowhere"):
        suite_names()


def test_a_plan_without_a_suite_is_methods_times_data_sets_times_rates():
    plan = adhoc_plan(["ce", "sanm(ce)"], ["digits", "cifar10"], "symmetric", [0.2, 0.4], seeds=2, scale="smoke")
    assert [row.label for row in plan.rows] == ["Cross-Entropy", "SANM(Cross-Entropy)"]
    assert [(c.dataset, c.noise.rate) for c in plan.columns] == [
        ("digits", 0.2),
        ("digits", 0.4),
        ("cifar10", 0.2),
        ("cifar10", 0.4),
    ]
    assert len(plan.jobs) == 16


def test_a_plan_without_a_suite_makes_the_jobs_of_a_suite_that_says_the_same(small):
    plan = adhoc_plan(["ce"], ["digits"], rates=[0.2], scale="smoke")
    assert plan.jobs[0] in small.plan("smoke").jobs


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"method": ["cee"]}, "method 'cee'"),
        ({"dataset": ["digit"]}, "digits"),
        ({"scale": "tiny"}, "scale"),
        ({"recipe": "sanm"}, "recipe 'sanm'"),
        ({"settings": {"no_such": 1}}, "setting 'no_such'"),
    ],
)
def test_a_plan_without_a_suite_refuses_unknown_names(changes, says):
    with pytest.raises(UnknownName, match=says):
        adhoc_plan(**{"method": ["ce"], "dataset": ["digits"], "rates": [0.2], "scale": "smoke", **changes})


def test_a_noise_that_does_not_fit_is_found_before_anything_runs():
    plan = adhoc_plan(["ce"], ["digits"], "symetric", [0.2], scale="smoke")
    with pytest.raises(UnknownName, match="symmetric"):
        plan.check()


def test_planning_and_printing_a_table_imports_neither_torch_nor_numpy_nor_pandas():
    code = """
import json, sys
from lnlbench.report import FORMATS, build_table, render
from lnlbench.suite import load_suite
table = build_table(load_suite("sanm-table1").plan("desk"), [], compare=True)
for format in FORMATS:
    render(table, format)
print(json.dumps([name for name in ("torch", "numpy", "pandas", "sqlalchemy") if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
