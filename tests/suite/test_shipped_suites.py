"""The suites and recipes that come with lnlbench against the papers: every printed row, column and number once, in
the papers' order, cells that tables share as one job, and how large each suite is."""

from __future__ import annotations

import csv
import re
from functools import cache

import pytest

from lnlbench.methods import registry
from lnlbench.report import reference
from lnlbench.report.table import build_table
from lnlbench.resolve import required_jobs
from lnlbench.suite import load_recipe, load_suite, recipe_names, suite_names
from lnlbench.suite.suite import RECIPES, SUITES

OURS_IN_A_PAPER_S_TABLE = {
    "rfl-table1": ["Bootstrap, soft", "Ours, mu = 1"],
    "rfl-table2": ["GCE, truncated", "Ours, mu = 1"],
    "rfl-table3": ["Bootstrap, soft", "Ours, mu = 1"],
    "rfl-table4": ["+ (B) + (C)", "+ (A) + (B) + (C), mu = 1"],
    "rmw-table1": ["MentorNet PD"],
}

SIZES = {
    "cifar-n": {"paper": (12, 6, 3), "desk": (12, 5, 2), "smoke": (12, 3, 1)},
    "nightly": {"smoke": (12, 2, 5)},
    "quickstart": {"smoke": (5, 1, 2)},
    "rates": {"paper": (9, 12, 3), "desk": (9, 12, 2), "smoke": (9, 6, 1)},
    "rfl-table1": {"paper": (10, 9, 3), "desk": (10, 9, 2), "smoke": (10, 9, 1)},
    "rfl-table1-common": {"paper": (10, 9, 3), "desk": (10, 9, 2), "smoke": (10, 9, 1)},
    "rfl-table2": {"paper": (7, 5, 3), "desk": (7, 5, 2), "smoke": (7, 5, 1)},
    "rfl-table2-common": {"paper": (7, 5, 3), "desk": (7, 5, 2), "smoke": (7, 5, 1)},
    "rfl-table3": {"paper": (11, 1, 3), "desk": (11, 1, 2), "smoke": (11, 1, 1)},
    "rfl-table4": {"paper": (9, 2, 3), "desk": (9, 2, 2), "smoke": (9, 2, 1)},
    "rmw-fig2": {"paper": (3, 4, 5), "desk": (3, 2, 2), "smoke": (3, 2, 1)},
    "rmw-table1": {"paper": (15, 12, 5), "desk": (15, 6, 2), "smoke": (15, 6, 1)},
    "rmw-table1-common": {"paper": (15, 12, 5), "desk": (15, 6, 2), "smoke": (15, 6, 1)},
    "rmw-table2": {"paper": (3, 6, 5), "desk": (3, 3, 2), "smoke": (3, 3, 1)},
    "rmw-table3": {"paper": (3, 12, 5), "desk": (3, 6, 2), "smoke": (3, 6, 1)},
    "sanm-controls": {"paper": (21, 3, 3), "desk": (21, 3, 2), "smoke": (21, 1, 1)},
    "sanm-fig2": {"paper": (5, 4, 3), "desk": (5, 2, 2), "smoke": (5, 2, 1)},
    "sanm-fig4": {"paper": (17, 4, 3), "desk": (17, 2, 2), "smoke": (17, 2, 1)},
    "sanm-supp-table1": {"paper": (6, 4, 3), "desk": (6, 4, 2), "smoke": (6, 4, 1)},
    "sanm-supp-table2": {"paper": (6, 4, 3), "desk": (6, 4, 2), "smoke": (6, 4, 1)},
    "sanm-supp-table3": {"paper": (8, 1, 3), "desk": (8, 1, 2), "smoke": (8, 1, 1)},
    "sanm-supp-table4": {"paper": (8, 8, 3), "desk": (8, 4, 2), "smoke": (8, 4, 1)},
    "sanm-supp-table5": {"paper": (1, 8, 3), "desk": (1, 4, 2), "smoke": (1, 4, 2)},
    "sanm-table1": {"paper": (14, 8, 3), "desk": (14, 4, 2), "smoke": (14, 4, 1)},
    "sanm-table2": {"paper": (14, 2, 3), "desk": (14, 2, 2), "smoke": (14, 2, 1)},
    "sanm-table3": {"paper": (15, 1, 3), "desk": (15, 1, 2), "smoke": (15, 1, 1)},
    "sanm-table4": {"paper": (4, 8, 3), "desk": (4, 4, 2), "smoke": (4, 4, 1)},
    "sanm-table5": {"paper": (4, 8, 3), "desk": (4, 4, 2), "smoke": (4, 4, 1)},
    "sanm-table6": {"paper": (8, 8, 3), "desk": (8, 4, 2), "smoke": (8, 4, 1)},
}
"""Rows, columns and seeds, which stay when a method joins lnlbench and its row gets jobs."""


@cache
def printed(table: str) -> list[dict[str, str]]:
    with reference.FILE.open(encoding="utf-8", newline="") as file:
        return [line for line in csv.DictReader(file) if line["table"] == table]


def rate(line):
    return float(line["rate"]) if line["rate"] else None


@cache
def planned(name: str, scale: str):
    return load_suite(name).plan(scale)


def keys(name, label, scale="paper", columns=slice(None), seeds=None):
    """Keys of one row's jobs, cell by cell."""
    plan = planned(name, scale)
    (row,) = [cells for cells in plan.grid if cells[0].row.label == label]
    return [[job.key for job in cell.jobs[:seeds]] for cell in row[columns]]


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_expands_at_every_scale_to_jobs_that_can_be_run(name):
    suite = load_suite(name)
    for scale in suite.scales:
        plan = planned(name, scale)
        plan.check()
        assert len(plan.jobs) == suite.job_count(scale)
        assert suite.rows_there(scale) == len(plan.rows) - len(plan.missing_rows)
        assert {job.scale for job in plan.jobs} <= {scale}


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_has_the_size_that_it_is_known_to_have(name):
    found = {}
    for scale in load_suite(name).scales:
        plan = planned(name, scale)
        found[scale] = (len(plan.rows), len(plan.columns), len(plan.seeds))
        assert len(plan.cells) == len(plan.rows) * len(plan.columns)
    assert found == SIZES[name]


@pytest.mark.parametrize("table", reference.table_names())
def test_every_printed_number_is_reached_once_by_the_suite_of_its_table(table):
    plan = planned(table, "paper")
    assert plan.layout.published == table
    reached = [cell.published for cell in build_table(plan, [], compare=True).cells if cell.published is not None]
    there = [reference.lookup(cell) for cell in reference.cells(table)]
    assert sorted(map(id, reached)) == sorted(map(id, there))


NOT_BUILT = {
    "sanm-table1": ["mlnt", "gce_contrastive", "sel_cl_plus", "moit_plus"],
    "sanm-table2": ["distilling", "mlnt", "incv", "reed", "sel_cl_plus", "gce_contrastive", "rrl"],
    "sanm-table3": ["meta_cleaner", "mlnt", "self_learning", "nested_coteaching", "rrl", "gce_contrastive"],
    "sanm-supp-table3": ["active_bias", "plc", "selfie", "crema"],
}
"""Methods of printed rows that lnlbench does not have, by table."""


@pytest.mark.parametrize("table", reference.table_names())
def test_every_printed_row_of_a_method_that_is_there_has_jobs_of_that_method_in_each_cell(table):
    plan = planned(table, "paper")
    assert sorted(row.method for row in plan.missing_rows) == sorted(NOT_BUILT.get(table, []))
    assert not {slug for row in plan.missing_rows for slug in re.findall(r"\w+", row.method)} & set(registry.names())
    for cell in plan.cells:
        assert [job.method for job in cell.jobs] == [cell.row.method] * (len(plan.seeds) * cell.row.implemented)


@pytest.mark.parametrize("table", reference.table_names())
def test_rows_and_columns_stand_as_the_paper_prints_them(table):
    plan = planned(table, "paper")
    labels = [re.sub(r" \[\d+\]$", "", line["row_label"]) for line in printed(table)]
    ours = OURS_IN_A_PAPER_S_TABLE.get(table, [])
    assert [row.label for row in plan.rows if row.label not in ours] == list(dict.fromkeys(labels))
    columns = [
        (
            column.published.get("dataset", column.dataset),
            column.published.get("noise", column.noise.name),
            column.published.get("rate", column.noise.rate),
        )
        for column in plan.columns
    ]
    there = [(line["dataset"], line["noise"], rate(line)) for line in printed(table)]
    assert columns == list(dict.fromkeys(there))


BACKBONES = {
    "preact-resnet18": "preact_resnet18",
    "cnn9": "cnn9",
    "resnet50": "resnet50",
    "vgg19": "vgg19_bn_ssr",
    "wrn-28-10": "wrn28_10",
    "resnet32": "resnet32",
}


@pytest.mark.parametrize("table", [name for name in reference.table_names() if not name.startswith("rfl")])
def test_cross_entropy_sanm_and_the_weight_nets_have_the_network_that_the_paper_states(table):
    stated = {
        (line["method"], line["dataset"], line["noise"], float(line["rate"]) if line["rate"] else None): line[
            "backbone"
        ]
        for line in printed(table)
    }
    for cell in planned(table, "paper").cells:
        where = (cell.row.method, cell.column.dataset, cell.column.noise.name, cell.column.noise.rate)
        if cell.jobs and where in stated and re.match(r"ce|sanm|r?m?n?wnet", cell.row.method):
            # The released code of C2D, and of SANM over it, builds another network than both papers state.
            expected = "resnet18_cifar" if "c2d" in cell.row.method else BACKBONES[stated[where]]
            assert cell.jobs[0].recipe.backbone == expected


@pytest.mark.parametrize("name", suite_names())
def test_a_suite_file_is_short_and_lists_no_job(name):
    assert len((SUITES / f"{name}.yaml").read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_has_its_scales_and_names_methods_of_the_registry_or_the_literature(name):
    literature = {cell.method for table in reference.table_names() for cell in reference.cells(table)}
    sections = load_recipe(name)
    small = name in ("quickstart", "nightly")
    assert list(sections) == (["smoke"] if small else ["paper", "desk", "smoke"])
    for section in sections.values():
        assert set(section.methods) <= {*registry.names(), *literature}
    assert (RECIPES / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", suite_names())
def test_smoke_scale_needs_no_download(name):
    assert {column.dataset for column in planned(name, "smoke").columns} == {"digits"}


def test_the_recipes_of_the_papers_are_the_papers():
    told = {name: load_recipe(name)["paper"].recipe for name in recipe_names() if "paper" in load_recipe(name)}
    facts = {
        name: (r["backbone"], r["epochs"], r["batch_size"], r["optimizer"]["lr"], r["optimizer"]["weight_decay"])
        for name, r in told.items()
    }
    assert facts == {
        "sanm-cifar": ("preact_resnet18", 300, 64, 0.02, 5e-4),
        "sanm-clothing1m": ("resnet50", 80, 64, 0.002, 1e-3),
        "sanm-animal10n": ("vgg19_bn_ssr", 150, 64, 0.02, 5e-4),
        "rfl-cifar": ("resnet18_cifar", 300, 128, 0.1, 1e-4),
        "rfl-clothing1m": ("resnet18", 50, 32, 0.1, 1e-4),
        "rmw-base": ("wrn28_10", 122, 100, 0.1, 5e-4),
        "rmw-l2rw": ("wrn28_10", 122, 100, 0.1, 5e-4),
        "rmw-meta": ("wrn28_10", 122, 100, 0.05, 5e-4),
    }
    assert {name: tuple(r["schedule"]["milestones"]) for name, r in told.items()} == {
        "sanm-cifar": (150,),
        "sanm-clothing1m": (40,),
        "sanm-animal10n": (50, 100),
        "rfl-cifar": (0.5, 0.75),
        "rfl-clothing1m": (0.5, 0.75),
        "rmw-base": (82, 102),
        "rmw-l2rw": (82, 102),
        "rmw-meta": (37, 39),
    }


def test_the_rate_falls_later_with_resnet32_in_rmw_s_own_recipe_and_late_for_both_networks_in_the_other():
    common = planned("rmw-table1-common", "paper").grid[3]
    copied = planned("rmw-table1", "paper").grid[3]
    assert common[0].row.label == copied[0].row.label == "BaseModel"
    assert [cell.jobs[0].recipe.schedule.milestones for cell in common[2:4]] == [(37, 39), (41, 51)]
    assert [cell.jobs[0].recipe.schedule.milestones for cell in copied[2:4]] == [(82, 102), (82, 102)]
    assert {cell.jobs[0].recipe.meta_size for cell in (*common, *copied)} == {1000}


def test_l2rw_trains_longer_with_resnet32_where_each_row_has_its_papers_recipe():
    own = planned("rmw-table1", "paper").grid[0]
    assert own[0].row.label == "L2RW*"
    lengths = [(cell.jobs[0].recipe.epochs, cell.jobs[0].recipe.schedule.milestones) for cell in own[2:4]]
    assert lengths == [(122, (82, 102)), (163, (82, 122))]
    ours = [
        cells for cells in planned("rmw-table1-common", "paper").grid if cells[0].row.label in ("L2RW*", "BaseModel")
    ]
    (first, second) = [[cell.jobs[0].recipe for cell in cells] for cells in ours]
    assert first == second
    for scale in ("desk", "smoke"):
        same = {cells[0].row.label: cells[0].jobs[0].recipe for cells in planned("rmw-table1", scale).grid}
        assert same["L2RW*"] == same["BaseModel"]


def test_rmw_s_schedules_are_in_steps_what_its_code_has():
    steps = {}
    for label, suite in (("MW-Net*", "rmw-table1"), ("BaseModel", "rmw-table1"), ("L2RW*", "rmw-table1")):
        cells = next(cells for cells in planned(suite, "paper").grid if cells[0].row.label == label)
        for cell in cells[2:4]:
            recipe = cell.jobs[0].recipe
            per_epoch = -(-(50_000 - recipe.meta_size) // recipe.batch_size)
            passes = (recipe.epochs, *recipe.schedule.milestones)
            steps[label, recipe.backbone] = [round(n * per_epoch / 500) * 500 for n in passes]
    assert steps == {
        ("MW-Net*", "wrn28_10"): [60_000, 18_000, 19_000],
        ("MW-Net*", "resnet32"): [60_000, 20_000, 25_000],
        ("BaseModel", "wrn28_10"): [60_000, 40_000, 50_000],
        ("BaseModel", "resnet32"): [60_000, 40_000, 50_000],
        ("L2RW*", "wrn28_10"): [60_000, 40_000, 50_000],
        ("L2RW*", "resnet32"): [80_000, 40_000, 60_000],
    }


@pytest.mark.parametrize("scale", ["paper", "desk", "smoke"])
def test_cells_that_tables_of_sanm_share_are_one_job(scale):
    assert keys("sanm-table6", "CE", scale) == keys("sanm-table1", "Cross-Entropy (CE)", scale)
    assert keys("sanm-table5", "AMG=✗ NLR=✗ SMR=✗", scale) == keys("sanm-table1", "DivideMix", scale)
    whole = keys("sanm-table1", "SANM(DivideMix)", scale)
    assert keys("sanm-table5", "AMG=✓ NLR=✓ SMR=✓", scale) == whole
    assert keys("sanm-supp-table5", "SANM(DivideMix)", scale, seeds=len(whole[0])) == whole
    assert keys("sanm-supp-table1", "Uniform (0.8)", scale) == whole[:4]
    assert keys("sanm-table4", "M=D P=✗ S=✓", scale) == whole
    assert {job.key for job in planned("sanm-supp-table4", scale).jobs} == {
        job.key for job in planned("sanm-table6", scale).jobs
    }


def test_figures_and_controls_of_sanm_share_the_jobs_of_its_tables():
    half = keys("sanm-table1", "SANM(DivideMix)", columns=slice(1, 3))
    assert keys("sanm-fig4", "SANM 0.2", columns=slice(0, 2)) == half
    assert keys("sanm-controls", "SANM(DivideMix)", columns=slice(0, 2)) == half
    assert keys("sanm-controls", "AMG only", columns=slice(0, 2)) == keys(
        "sanm-table5", "AMG=✓ NLR=✗ SMR=✗", columns=slice(1, 3)
    )
    assert keys("sanm-fig2", "DivideMix") == [keys("sanm-table1", "DivideMix")[column] for column in (1, 2, 5, 6)]
    assert keys("rates", "CE")[1] == keys("sanm-table1", "Cross-Entropy (CE)")[0]


@pytest.mark.parametrize("scale", ["paper", "desk", "smoke"])
def test_frozen_masks_of_sanm_table4_are_those_of_the_hosts_runs_in_table1(scale):
    table1 = {job.key: job.method for job in planned("sanm-table1", scale).jobs}
    frozen = [j for j in planned("sanm-table4", scale).jobs if j.hyperparameters.get("mask_source") == "pretrained"]
    assert {j.method for j in frozen} == {"sanm(dividemix)", "sanm(c2d)"}
    for job in frozen:
        assert f"sanm({table1[required_jobs(job)['mask_networks'].key]})" == job.method


def test_the_control_of_sanms_strong_views_differs_from_its_released_code_by_the_masks_alone():
    rows = {cells[0].row.label: cells for cells in planned("sanm-controls", "paper").grid}
    pairs = zip(rows["DivideMix, SANM's strong views"], rows["SANM(DivideMix), released code"], strict=True)
    for plain, masked in pairs:
        assert plain.jobs[0].hyperparameters == masked.jobs[0].hyperparameters["host"]


def test_the_clean_columns_of_rmw_and_rfl_are_one_job_whatever_noise_they_are_printed_under():
    base = keys("rmw-table1", "BaseModel")
    assert base[0] != base[3]  # another network
    assert keys("rmw-table1", "BaseModel", "desk")[0] == keys("rmw-table1", "BaseModel", "desk")[3]
    rates = keys("rates", "CE")
    assert rates[0] == rates[7]
    clean = planned("rfl-table1", "paper").grid[0][0].jobs[0].noise
    assert clean == planned("rmw-table1", "paper").grid[3][0].jobs[0].noise
    labels = [column.label for column in build_table(planned("rmw-table1", "paper"), []).columns]
    assert labels == ["0%", "40%", "60%", "0%", "20%", "40%"] * 2


def test_rfl_stands_beside_its_loss_as_printed():
    for name in ("rfl-table1", "rfl-table2", "rfl-table3"):
        rows = {cells[0].row.label: cells for cells in planned(name, "paper").grid}
        for ours, printed_loss in zip(rows["Ours"], rows["Ours, mu = 1"], strict=True):
            assert {**ours.jobs[0].hyperparameters, "mu": 1} == printed_loss.jobs[0].hyperparameters
    whole = "+ (A) + (B) + (C)"
    for label, twin in ((whole, "Ours"), (f"{whole}, mu = 1", "Ours, mu = 1")):
        assert keys("rfl-table4", label) == keys("rfl-table1", twin, columns=slice(3, 5))


@pytest.mark.parametrize(("table", "own"), [("rfl-table1", "JO"), ("rfl-table2", "PENCIL")])
def test_one_row_of_rfl_has_a_recipe_of_its_own_and_under_a_common_one_none_has(table, own):
    for row, common in zip(planned(table, "paper").grid, planned(f"{table}-common", "paper").grid, strict=True):
        recipe = common[1].jobs[0].recipe
        assert (recipe.epochs, recipe.optimizer.lr, recipe.schedule.name) == (300, 0.1, "multistep")
        assert (row[1].jobs[0].recipe == recipe) == (row[0].row.label != own)


def test_rmw_table3_has_no_job_of_its_own():
    others = {job.key for name in ("rmw-table1", "rmw-table2") for job in planned(name, "paper").jobs}
    assert {job.key for job in planned("rmw-table3", "paper").jobs} <= others
    assert planned("rmw-table3", "paper").stats == ("auc",)


def test_quickstart_needs_no_choice_of_scale_and_no_method_that_is_not_there():
    plan = load_suite("quickstart").plan()
    assert plan.scale == "smoke"
    assert not plan.missing_rows
