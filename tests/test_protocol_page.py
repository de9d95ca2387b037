"""docs/protocol.md prints what published.csv and lnlbench's noises say: its tables are parsed and computed again.

A table under `<!-- checked: NAME -->` is held to a computation, one under another mark to the check of that mark.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from protocol_checks import SUSPECTS, claims, doubted, printed, suspect
from protocol_published import value
from protocol_tables import COMPUTED, backbones, gap_rfl, gap_sanm, statistics

from lnlbench.data.noise import CATALOGUE, corrupt
from lnlbench.job import Noise
from lnlbench.methods import registry
from lnlbench.methods.spec import NEEDS
from lnlbench.report.reference import table_names
from lnlbench.resolve import merge
from lnlbench.suite import load_recipe

PAGE = (Path(__file__).parents[1] / "docs" / "protocol.md").read_text(encoding="utf-8")
MARKED = re.compile(r"^<!-- ([^>]+) -->\n((?:\|.*\|\n)+)", re.MULTILINE)
OTHER_MARKS = {"words", "needs", "options"}


def rows_of(text: str) -> list[list[str]]:
    """The cells of a Markdown table's body."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def tables(mark: str) -> list[list[list[str]]]:
    return [rows_of(text) for found, text in MARKED.findall(PAGE) if found == mark]


def table(name: str) -> list[list[str]]:
    (found,) = tables(f"checked: {name}")
    return found


def listed(cell: str) -> list[str]:
    return [name.strip(" `") for name in cell.split(",")]


def test_every_table_is_marked_and_every_check_has_its_table():
    marks = [mark for mark, _ in MARKED.findall(PAGE)]
    assert len(marks) == len(re.findall(r"^\|[-:| ]+\|$", PAGE, re.MULTILINE))
    extra = {"statistics", "backbones", "recipes", "suspects", "claims"}
    assert sorted(m for m in marks if m not in OTHER_MARKS) == sorted(f"checked: {n}" for n in COMPUTED.keys() | extra)


def test_every_row_has_as_many_cells_as_its_head():
    for _, text in MARKED.findall(PAGE):
        assert len({line.count("|") for line in text.splitlines()}) == 1, text


@pytest.mark.parametrize("name", COMPUTED)
def test_the_page_prints_what_is_computed(name):
    expected = COMPUTED[name]()
    assert [row[: len(expected[0])] for row in table(name)] == expected


@pytest.mark.parametrize(("name", "kinds"), [("statistics", statistics()), ("backbones", backbones())])
def test_every_published_table_stands_once_under_what_it_prints(name, kinds):
    rows = table(name)
    column = {"statistics": (0, 1), "backbones": (1, 0)}[name]
    found = {key: row[column[0]] for row in rows for key in listed(row[column[1]])}
    assert sum(len(listed(row[column[1]])) for row in rows) == len(table_names())
    assert found == kinds


def test_the_suspects_are_printed_as_in_the_papers_and_none_is_missing():
    rows = table("suspects")
    assert [(row[0], row[1]) for row in rows] == list(SUSPECTS)
    assert [row[2] for row in rows] == [printed(suspect(key[0], where)) for key, where in SUSPECTS.items()]
    assert doubted() <= {line for (name, _), where in SUSPECTS.items() for line in suspect(name, where).index}


def test_the_claims_come_to_what_the_tables_say():
    assert [row[2:3] for row in table("claims")] == claims()


@pytest.mark.parametrize("row", table("recipes"), ids=lambda row: row[0])
def test_the_recipes_are_those_that_lnlbench_runs(row):
    run, epochs, batch, optimiser, drops, decay, name = row
    scale = load_recipe(name.strip("`"))["paper"]
    recipe = merge(scale.recipe, scale.backbones["resnet32"] if "ResNet-32" in run else {})
    after = [f"{m:g}" if m >= 1 else f"{100 * m:g}%" for m in recipe["schedule"]["milestones"]]
    assert epochs.split()[0] == str(recipe["epochs"])
    assert batch == str(recipe["batch_size"])
    assert optimiser.lower() == f"{recipe['optimizer']['name']} {recipe['optimizer']['lr']}"
    assert drops.partition(" (")[0] == f"/{1 / recipe['schedule']['gamma']:g} after {', '.join(after)}"
    assert float(re.findall(r"\de-\d", decay)[0]) == recipe["optimizer"]["weight_decay"]


def test_needs_and_noises_have_the_names_of_lnlbench():
    ((*rows,),) = tables("needs")
    assert set(re.findall(r"`(\w+)`", " ".join(row[2] for row in rows))) <= NEEDS.keys()
    for row in (*table("noise-names"), *table("superclasses"), *table("spread"), *table("rate-0.4")):
        assert set(re.findall(r"`([\w-]+)`", " ".join(row))) <= CATALOGUE.keys()


def test_the_options_exist_with_the_defaults_that_are_printed():
    ((*rows,),) = tables("options")
    for method, _, default, option in rows:
        spec = registry.spec(method.strip("`"))
        fields = spec.hyperparameters().to_dict()
        for name, stated in re.findall(r"`(\w+)=([\w.]+)`", default):
            assert str(fields[name]) == stated, (method, name)
        for name in re.findall(r"`(\w+)(?:=[\w.]+)?`", option):
            assert name in fields, (method, name)


@pytest.mark.parametrize("row", table("spread"))
def test_a_draw_falls_within_the_spread(row):
    name, mean, sd = row[0].strip("`"), int(row[1].replace(",", "")), int(row[2])
    clean = np.arange(50_000) % 10
    numbers = [
        np.count_nonzero(corrupt(Noise(name=name, rate=0.5), clean, 10, seed, dataset="cifar10") != clean)
        for seed in range(8)
    ]
    assert abs(np.mean(numbers) - mean) < 5 * sd / np.sqrt(8)
    assert sd / 4 < np.std(numbers, ddof=1) < 3 * sd


def test_the_last_values_of_cross_entropy_fall_with_the_share_and_the_best_do_not():
    rows = table("cross-entropy")
    last = [float(row[4] or row[5]) for row in rows]
    assert last == sorted(last, reverse=True)
    best = {row[0]: float(row[3]) for row in rows if row[3]}
    assert best["0.45"] > best["0.40"]
    assert best["0.81"] > best["0.80"]


def test_the_numbers_of_the_sentences():
    gaps = [float(gap) for rows in (gap_sanm(), gap_rfl()) for row in rows[:-1] for gap in row[1:]]
    at_90 = {
        method: value("sanm-table1", method, "cifar10", 0.9) for method in ("augdesc", "sanm(dividemix)", "dividemix")
    }
    said = [
        f"up to {max(gaps):.1f} points apart",
        f"{len(SUSPECTS)} lines of doubtful cells",
        f"give {at_90['augdesc']} at 90% on CIFAR-10 where SANM(DivideMix) prints {at_90['sanm(dividemix)']} and",
        f"DivideMix {at_90['dividemix']}:",
        f"prints {value('rmw-table1', 'ce', 'cifar10', 0.4, noise='uniform')} for BaseModel",
        f"SANM's {value('sanm-table3', 'gce_contrastive', 'clothing1m'):.2f} and",
        f"RFL's {value('rfl-table3', 'gce', 'clothing1m')} under 'GCE'",
    ]
    text = " ".join(PAGE.split())
    assert [sentence for sentence in said if sentence not in text] == []
