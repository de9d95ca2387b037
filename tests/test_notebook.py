"""`lnlbench.results`: what a frame holds, its types, its filters, and what it refuses."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

import lnlbench
from lnlbench.errors import InvalidSetting, StoreError, UnknownName
from lnlbench.job import Job, Noise
from lnlbench.report import reference
from lnlbench.store import EpochRow, ResultRow, RunProvenance, open_store
from lnlbench.suite import load_suite

PROVENANCE = RunProvenance(
    device="cuda:0",
    device_name="NVIDIA H200",
    precision="bf16",
    git_commit="0" * 40,
    git_dirty=False,
    lnlbench_version="0.1.0",
    data_fingerprint="f" * 64,
    data_canonical=True,
    noise_realised=0.36,
)
SUITE = {
    "title": "Two blocks that share a job",
    "recipe": "sanm-cifar",
    "published": "sanm-supp-table4",
    "stats": ["best", "last"],
    "seeds": 2,
    "columns": [{"dataset": "cifar10", "noise": "symmetric", "rates": [0.5, 0.2]}],
    "rows": [
        {"label": "CE", "method": "ce", "group": "<script>_&|"},
        {"label": "GCE", "method": "gce", "group": "<script>_&|"},
        {"label": "CE", "method": "ce", "group": "again"},
        {"label": "Not here", "method": "not_here"},
    ],
}


def finish(store, job, best=90.0, status="done", epochs=2, **numbers):
    """Queues a job (again, where it is done), runs it and ends it; returns the run's uid."""
    store.add_jobs([job])
    store.requeue([job.key], states=("done", "diverged"))
    claim = store.claim([job.key], "w", 60, retry_limit=3)
    store.start_run(claim.run_uid, PROVENANCE)
    rows = [EpochRow(e, test_accuracy=best - epochs + e, extra={"ensemble_accuracy": best + e}) for e in range(epochs)]
    store.record_epochs(claim.run_uid, rows)
    result = ResultRow(best, epochs - 1, best - 1, best - 2, epochs, best_auc=0.9, seconds=1.5, **numbers)
    store.finish(claim.run_uid, status, result if status == "done" else None)
    return claim.run_uid


@pytest.fixture
def db(tmp_path):
    return tmp_path / "results.sqlite"


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "blocks.yaml"
    path.write_text(yaml.safe_dump(SUITE, sort_keys=False))
    return path


@pytest.fixture
def filled(db):
    """Five jobs: gce with two seeds, one of them run twice; sanm over ce; a diverged ce at desk scale; human labels."""
    noise = Noise(name="symmetric", rate=0.2)
    sanm = {"mu": 0.2, "amg": True, "views": "joint", "host": {"steps": [1, 2]}}
    with open_store(db) as store:
        finish(store, Job(method="gce", hyperparameters={"q": 0.7, "k": 1}, noise=noise, seed=1), 80.0)
        finish(store, Job(method="gce", hyperparameters={"q": 0.7, "k": 1}, noise=noise, seed=2), 81.0)
        finish(store, Job(method="gce", hyperparameters={"q": 0.7, "k": 1}, noise=noise, seed=1), 85.0, epochs=3)
        finish(store, Job(method="sanm(ce)", hyperparameters=sanm, dataset="cifar10", noise=noise), 95.0)
        finish(store, Job(method="ce", noise=noise, scale="desk"), status="diverged")
        finish(store, Job(method="ce", noise=Noise(name="human", variant="worst"), dataset="cifar10"), valid_pick=70.0)
    return db


def test_a_row_is_the_newest_finished_run_of_a_job(filled):
    frame = lnlbench.results(db=filled)
    assert list(zip(frame["method"], frame["seed"], frame["best"].fillna(-1), strict=True)) == [
        ("gce", 1, 85.0),
        ("gce", 2, 81.0),
        ("sanm(ce)", 1, 95.0),
        ("ce", 1, -1),
        ("ce", 1, 90.0),
    ]
    assert frame["status"].tolist() == ["done", "done", "done", "diverged", "done"]
    assert frame["best_epoch"].isna().tolist() == [False, False, False, True, False]
    assert frame["valid"].dropna().tolist() == [70.0]
    first = frame.iloc[0]
    assert (first["noise_label"], first["last"], first["last10"], first["auc"]) == ("symmetric 20%", 84.0, 83.0, 0.9)
    assert (first["epochs"], first["seconds"], first["noise_share"], first["dirty"]) == (3, 1.5, 0.36, False)
    assert (first["device"], first["device_name"], first["commit"]) == ("cuda:0", "NVIDIA H200", "0" * 40)
    assert first["started"] <= first["ended"] <= pd.Timestamp.now(tz="UTC")


def test_reruns_are_there_when_asked_for(filled):
    frame = lnlbench.results(db=filled, all_runs=True, method="gce", seed=1)
    assert frame["best"].tolist() == [80.0, 85.0]
    assert frame["key"].nunique() == 1
    assert frame["run_uid"].nunique() == 2


def test_the_types_say_what_a_column_holds(filled):
    types = lnlbench.results(db=filled).dtypes.astype(str)
    assert types["key"] == types["run_uid"] == "string"
    assert {types[c] for c in ("method", "dataset", "noise", "noise_label", "scale", "status", "commit")} == {
        "category"
    }
    assert {types[c] for c in ("rate", "best", "last", "auc", "images_per_second")} == {"float64"}
    assert {types[c] for c in ("seed", "best_epoch", "epochs")} == {"Int64"}
    assert {types[c] for c in ("dirty", "data_canonical")} == {"boolean"}
    assert {types[c] for c in ("started", "ended")} == {"datetime64[ns, UTC]"}


@pytest.mark.parametrize("asked", [{}, {"epochs": True}, {"all_runs": True}, {"suite": "quickstart"}])
def test_an_empty_frame_has_the_columns_and_types_of_a_full_one(tmp_path, asked):
    empty, full = tmp_path / "empty.sqlite", tmp_path / "full.sqlite"
    open_store(empty).close()
    with open_store(full) as store:
        # Without extra metrics, which have columns only where there are some.
        for job in load_suite("quickstart").plan("smoke").jobs[:2]:
            store.add_jobs([job])
            claim = store.claim([job.key], "w", 60, retry_limit=3)
            store.record_epochs(claim.run_uid, [EpochRow(0)])
            store.finish(claim.run_uid, "done", ResultRow(None, None, None, None, 1))
    nothing, something = (lnlbench.results(db=path, **asked) for path in (empty, full))
    assert len(nothing) == 0
    assert len(something) == 2
    assert nothing.dtypes.astype(str).to_dict() == something.dtypes.astype(str).to_dict()


@pytest.mark.parametrize(
    ("asked", "bests"),
    [
        ({"method": "gce"}, [85.0, 81.0]),
        ({"method": ["SANM( ce )", "gce"], "seed": 1}, [85.0, 95.0]),
        ({"method": "sanm"}, [95.0]),
        ({"dataset": "cifar10"}, [95.0, 90.0]),
        ({"noise": "human"}, [90.0]),
        ({"rate": 0.1 + 0.1, "seed": np.arange(2, 4)}, [81.0]),
        ({"rate": np.float64(0.2), "dataset": {"cifar10"}}, [95.0]),
        ({"scale": "paper", "method": "ce"}, [90.0]),
        ({"seed": 7}, []),
    ],
)
def test_filters_take_one_value_or_several(filled, asked, bests):
    assert lnlbench.results(db=filled, **asked)["best"].tolist() == bests


def test_all_scales_come_together_under_their_names(filled):
    assert lnlbench.results(db=filled)["scale"].value_counts().to_dict() == {"paper": 4, "desk": 1}


def test_epochs_are_rows_of_their_runs(filled):
    frame = lnlbench.results(db=filled, method="gce", epochs=True)
    assert frame.groupby("seed")["epoch"].apply(list).to_dict() == {1: [0, 1, 2], 2: [0, 1]}
    assert frame.loc[frame["seed"] == 1, "test_accuracy"].tolist() == [82.0, 83.0, 84.0]
    assert frame["extra.ensemble_accuracy"].tolist() == [85.0, 86.0, 87.0, 81.0, 82.0]
    assert frame["counts"].all()
    assert not {"best", "started", "published_best"} & set(frame)


def test_hyperparameters_are_columns_of_their_own_type(filled):
    frame = lnlbench.results(db=filled, hyperparameters=True)
    own = frame.filter(like="hp.")
    assert own.dtypes.astype(str).to_dict() == {
        "hp.amg": "boolean",
        "hp.host.steps": "object",
        "hp.k": "Int64",
        "hp.mu": "float64",
        "hp.q": "float64",
        "hp.views": "category",
    }
    assert own.loc[2, "hp.host.steps"] == (1, 2)
    assert own.loc[frame["method"] != "gce", "hp.q"].isna().all()
    assert "hp.q" in lnlbench.results(db=filled, method="gce", hyperparameters=True, epochs=True)


def test_a_suite_gives_its_cells_in_the_order_of_the_table(db, suite):
    plan = load_suite(suite).plan("paper")
    with open_store(db) as store:
        for job in reversed(plan.jobs):
            finish(store, job, 80.0 + job.seed)
        finish(store, Job(method="ce"), 10.0)
    frame = lnlbench.results(suite, db=db)
    assert len(frame) == 3 * 2 * 2
    assert frame["group"].cat.categories.tolist() == ["<script>_&|", "again"]
    assert frame["row"].cat.categories.tolist() == ["CE", "GCE"]
    assert frame["column"].cat.categories.tolist() == ["CIFAR-10, symmetric 50%", "CIFAR-10, symmetric 20%"]
    assert frame["key"].nunique() == 8
    table = frame.pivot_table(index=["group", "row"], columns="column", values="best", observed=True)
    assert list(table.columns) == ["CIFAR-10, symmetric 50%", "CIFAR-10, symmetric 20%"]
    assert (table == 81.5).all(axis=None)
    assert lnlbench.results(suite, db=db, method="gce", rate=0.2, seed=2)["best"].tolist() == [82.0]
    assert len(lnlbench.results(suite, db=db, epochs=True)) == 24


def test_the_published_numbers_stand_beside(db, suite):
    with open_store(db) as store:
        for job in load_suite(suite).plan("paper").jobs:
            finish(store, job)
    frame = lnlbench.results(suite, db=db).drop_duplicates(["method", "rate"])
    ce = frame[frame["method"] == "ce"].set_index("rate")
    where = reference.Cell("sanm-supp-table4", "ce", "", "cifar10", "symmetric", 0.5, "best")
    assert ce.loc[0.5, "published_best"] == reference.lookup(where).mean
    assert ce.loc[0.5, "published_last"] == reference.lookup(where._replace(stat="last")).mean
    assert ce[["published_final", "published_auc"]].isna().all(axis=None)
    assert frame.loc[frame["method"] == "gce", "published_best"].isna().all()


def test_a_seed_beyond_the_suite_is_found_when_it_is_named(db, suite):
    with open_store(db) as store:
        for job in load_suite(suite).plan("paper", seeds=[9]).jobs:
            finish(store, job)
    assert lnlbench.results(suite, db=db).empty
    assert set(lnlbench.results(suite, db=db, seed=9)["seed"]) == {9}


def test_a_suite_never_mixes_scales(db, suite):
    with open_store(db) as store:
        for scale in ("paper", "desk"):
            finish(store, load_suite(suite).plan(scale).jobs[0], 50.0)
    with pytest.raises(InvalidSetting, match="paper and desk scale, which are never mixed") as caught:
        lnlbench.results(suite, db=db)
    assert "scale='desk'" in str(caught.value)
    assert set(lnlbench.results(suite, db=db, scale="desk")["scale"]) == {"desk"}


def test_the_frame_says_where_it_is_from(filled, monkeypatch):
    monkeypatch.setenv("LNLBENCH_DB", str(filled))
    assert lnlbench.results().attrs == {"db": str(filled), "suite": None}
    assert lnlbench.results("quickstart").attrs["suite"] == "quickstart"


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"suite": "quickstar"}, UnknownName, "quickstart"),
        ({"db": "nowhere.sqlite"}, StoreError, "no database"),
        ({"scale": "big"}, UnknownName, "desk, paper, smoke"),
        ({"method": "gec"}, UnknownName, "'gce'"),
        ({"method": "sanm(cee)"}, UnknownName, "unknown method 'cee'"),
        ({"dataset": "cifar11"}, UnknownName, "cifar10"),
        ({"noise": "sym"}, UnknownName, "lnlbench's name is 'symmetric'"),
        ({"suite": "quickstart", "rate": 0.3}, UnknownName, "0.4"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(filled, asked, error, said):
    with pytest.raises(error) as caught:
        lnlbench.results(**{"db": filled, **asked})
    assert said in str(caught.value)


def test_importing_lnlbench_imports_nothing_else(filled):
    code = (
        "import sys, lnlbench; heavy = ('pandas', 'sqlalchemy', 'torch', 'numpy', 'matplotlib', 'scipy')\n"
        "loaded = lambda: [m for m in heavy if m in sys.modules]\n"
        f"print(loaded()); len(lnlbench.results(db={str(filled)!r})); print(loaded())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['pandas', 'numpy']"]


def test_lnlbench_has_no_other_attributes():
    with pytest.raises(AttributeError, match="no attribute 'result'"):
        lnlbench.result  # noqa: B018
