"""How a suite becomes jobs: what a row, a column, a recipe and the command line say, and which is stronger."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lnlbench.data.noise.catalogue import CATALOGUE
from lnlbench.errors import InvalidSetting, UnknownName
from lnlbench.job import Recipe
from lnlbench.resolve import CLEAN_AT_ZERO
from lnlbench.suite import adhoc_plan, load_suite
from lnlbench.suite.layout import NOISES


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


def test_numbers_with_an_exponent_are_numbers(write):
    columns = [{"dataset": "digits", "noise": "clean"}]
    path = write(columns=columns, rows=[{"label": "CE", "method": "ce"}])
    text = path.read_text()
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
    with pytest.raises(UnknownName, match="symmetric"):
        adhoc_plan(["ce"], ["digits"], "symetric", [0.2], scale="smoke")
    with pytest.raises(InvalidSetting, match="targets"):
        adhoc_plan(["ce"], ["digits"], {"name": "symmetric", "targets": 1}, [0.2], scale="smoke").check()


def test_every_noise_is_known_to_suites_without_importing_any():
    assert set(NOISES) == set(CATALOGUE)


@pytest.mark.parametrize("name", CLEAN_AT_ZERO)
def test_a_noise_of_rate_0_is_the_clean_labels_and_one_job_with_them(name):
    plan = adhoc_plan(["dividemix"], ["cifar10"], name, [] if name == "clean" else [0.0], scale="smoke")
    clean = adhoc_plan(["dividemix"], ["cifar10"], "clean", scale="smoke")
    assert [job.key for job in plan.jobs] == [job.key for job in clean.jobs]
    assert plan.columns[0].noise.name == name


def test_instance_noise_of_rate_0_is_not_clean_for_its_rate_is_a_mean_before_truncation():
    plan = adhoc_plan(["ce"], ["digits"], "instance", [0.0], scale="smoke")
    assert plan.jobs[0].noise.name == "instance"
    assert set(CLEAN_AT_ZERO) == {info.name for info in CATALOGUE.values() if info.rate_means} - {"instance"}


def test_what_draws_labels_that_stay_as_they_are_does_not_matter():
    clean = adhoc_plan(["ce"], ["cifar10"], {"name": "clean", "seed": 5}, scale="smoke").jobs[0]
    drawn = {"name": "flip2", "seed": 7, "targets": 3, "sampling": "exact"}
    assert adhoc_plan(["ce"], ["cifar10"], drawn, [0.0], scale="smoke").jobs[0].key == clean.key
    assert adhoc_plan(["ce"], ["cifar10"], drawn, [0.1], scale="smoke").jobs[0].noise.name == "flip2"


def test_keys_of_jobs_with_noise_have_not_changed():
    plan = load_suite("sanm-table1").plan("paper", methods=["dividemix"], datasets=["cifar10"], rates=[0.2], seeds=1)
    assert plan.jobs[0].key.startswith("90c9c0c4dab3")


def test_a_column_s_recipe_is_stronger_than_what_a_method_insists_on(write):
    columns = [{"dataset": "cifar10", "noise": "clean", "recipe": {"backbone": "resnet32"}}]
    rows = [{"label": "Co-teaching", "method": "coteaching"}]
    job = load_suite(write(columns=columns, rows=rows)).plan("paper").jobs[0]
    assert (job.recipe.backbone, job.recipe.epochs, job.recipe.optimizer.name) == ("resnet32", 200, "adam")


def test_a_common_recipe_is_stronger_than_everything_a_method_insists_on(write):
    columns = [{"dataset": "cifar10", "noise": "clean"}]
    rows = [{"label": label, "method": method} for label, method in (("CE", "ce"), ("Co-teaching", "coteaching"))]
    plan = load_suite(write(columns=columns, rows=rows, common_recipe=True)).plan("paper")
    assert plan.grid[0][0].jobs[0].recipe == plan.grid[1][0].jobs[0].recipe


def test_a_row_s_own_recipe_file_stands_in_for_the_suite_s(write, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "long.yaml").write_text("smoke:\n  recipe: {epochs: 77}\n  methods: {dividemix: {T: 0.2}}\n")
    rows = [
        {"label": "CE", "method": "ce"},
        {"label": "CE, long", "method": "ce", "recipe_file": "own/long.yaml"},
        {"label": "DivideMix, long", "method": "dividemix", "recipe_file": "own/long.yaml"},
    ]
    sections = {"smoke": None}
    suite = load_suite(write(rows=rows, recipe="own/long.yaml", scales=sections))
    assert suite.scales == ("smoke",)
    (tmp_path / "own" / "short.yaml").write_text("smoke: {recipe: {epochs: 3}}\n")
    plan = load_suite(write(rows=rows, recipe="own/short.yaml", scales=sections)).plan("smoke")
    assert [cells[0].jobs[0].recipe.epochs for cells in plan.grid] == [3, 77, 77]
    assert plan.grid[2][0].jobs[0].hyperparameters["T"] == 0.2


def test_settings_that_go_with_a_network_follow_it(write, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "r.yaml").write_text(
        "smoke:\n  recipe: {backbone: smallcnn, epochs: 9}\n  backbones: {resnet32: {epochs: 5, pad: 1}}\n"
    )
    columns = [
        {"dataset": "digits", "noise": "clean"},
        {"dataset": "digits", "noise": "clean", "recipe": {"backbone": "resnet32", "pad": 2}},
    ]
    suite = load_suite(write(columns=columns, recipe="own/r.yaml", rows=[{"label": "CE", "method": "ce"}]))
    first, second = (cell.jobs[0].recipe for cell in suite.plan("smoke").grid[0])
    assert (first.epochs, first.pad) == (9, 4)
    assert (second.epochs, second.pad) == (5, 2)
    assert suite.plan("smoke", settings={"backbone": "resnet32"}).jobs[0].recipe.epochs == 5


def test_a_suite_like_another_has_its_keys_but_for_its_own(write, tmp_path):
    write(scales={"smoke": {"seeds": 1, "title": "Small"}, "desk": {"seeds": 4}})
    child = tmp_path / "child.yaml"
    child.write_text("like: mine\nstats: [last]\nscales:\n  smoke: {seeds: [8]}\n")
    suite = load_suite(child)
    assert suite.plan("smoke").stats == ("last",)
    assert (suite.plan("smoke").title, suite.plan("smoke").seeds) == ("Small", (8,))
    assert (suite.plan("desk").title, len(suite.plan("desk").seeds)) == ("A table", 4)
    assert suite.plan("desk").jobs == load_suite(tmp_path / "mine.yaml").plan("desk").jobs
    (tmp_path / "third.yaml").write_text("like: child\n")
    with pytest.raises(InvalidSetting, match=r"third\.yaml, line 1: 'child' is itself like 'mine'"):
        load_suite(tmp_path / "third.yaml")


def test_a_plug_in_over_a_host_that_it_cannot_join_yet_is_a_row_of_dashes(write):
    rows = [{"label": "CE", "method": "ce"}, {"label": "SANM(GCE)", "method": "sanm(gce)"}]
    plan = load_suite(write(rows=rows)).plan("smoke")
    assert [row.label for row in plan.missing_rows] == ["SANM(GCE)"]
    with pytest.raises(InvalidSetting, match="no part to play"):
        load_suite(write(rows=rows[:1])).plan("smoke", also=["sanm(gce)"])


def test_the_number_of_jobs_is_known_without_planning(small):
    assert small.job_count("smoke") == len(small.plan("smoke").jobs)
    assert small.rows_there("smoke") == 3


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
