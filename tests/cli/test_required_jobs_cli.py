"""`lnlbench run` on jobs that start from networks which other jobs train, with real workers."""

from __future__ import annotations

import pytest

from lnlbench.store import open_store

WORDS = (
    *("run", "--method", "sanm(ce)", "--dataset", "digits", "--rate", "0.4", "--workers", "1", "--device", "cpu"),
    *("--set", "mask_source=pretrained", "--set", "start_epoch=0", "--set", "epochs=1", "--set", "train_subset=100"),
    *("--set", "width=0.25", "--set", "image_size=8", "--db", "r.sqlite"),
)


@pytest.fixture
def looked(tmp_path):
    """What the database holds: runs by method with their states, models by method."""

    def look():
        with open_store(tmp_path / "r.sqlite") as store:
            jobs = {view.method: view for view in store.jobs()}
            runs = {name: [run.status for run in store.runs(view.key)] for name, view in jobs.items()}
            models = {name: store.artifacts(key=view.key, kind="model") for name, view in jobs.items()}
        return runs, models

    return look


def test_the_host_is_trained_first_and_its_networks_are_kept(lnlbench, looked, tmp_path):
    dry = lnlbench(*WORDS, "--dry-run")
    assert [line.split()[2] for line in dry.out.splitlines()[:2]] == ["ce", "sanm(ce)"]
    ended = lnlbench(*WORDS)
    assert ended.code == 0, ended.err
    assert "2 of 2 jobs done" in ended.out
    runs, models = looked()
    assert runs == {"ce": ["done"], "sanm(ce)": ["done"]}
    assert [len(models[name]) for name in ("ce", "sanm(ce)")] == [1, 0]

    # Gone or altered, it is made again.
    (tmp_path / models["ce"][0].path).write_bytes(b"")
    again = lnlbench(*WORDS, "--rerun")
    assert again.code == 0, again.err
    runs, models = looked()
    assert runs == {"ce": ["done", "done"], "sanm(ce)": ["done", "interrupted", "done"]}
    assert len(models["ce"]) == 2

    # Every model, on demand.
    assert lnlbench(*WORDS, "--rerun", "--keep-models").code == 0
    assert len(looked()[1]["sanm(ce)"]) == 1


def test_plan_counts_what_the_jobs_start_from(lnlbench):
    words = [word for word in WORDS[1:-2] if word not in ("--workers", "1", "--device", "cpu")]
    assert (
        "1 job (1 seed a cell) and 1 more whose networks they start from, 0 done."
        in lnlbench("plan", *words, "--no-measure").out
    )
    planned = lnlbench("plan", *words, "--no-measure", "--json").json["jobs"]
    assert [job["method"] for job in planned] == ["ce", "sanm(ce)"]


def test_what_cannot_be_started_says_why(lnlbench, looked):
    ended = lnlbench(*WORDS, "--set", "lr=1e30")
    runs, _ = looked()
    assert runs == {"ce": ["diverged"], "sanm(ce)": ["failed"]}
    assert ended.code == 1
    told = lnlbench("status", "--failed", "--db", "r.sqlite").out
    assert "starts from the networks of ce digits" in told
    assert "diverged" in told


def test_one_pre_training_without_noise_serves_all_rates(lnlbench, looked, tmp_path):
    words = [word.replace("sanm(ce)", "c2d") for word in WORDS if word not in ("mask_source=pretrained",)]
    words[words.index("start_epoch=0")] = "warmup_epochs=0"
    words.remove("--set")
    ended = lnlbench(*words, "--rate", "0.8", "--set", "pretrain_epochs=1")
    assert ended.code == 0, ended.err
    assert "3 of 3 jobs done" in ended.out
    with open_store(tmp_path / "r.sqlite") as store:
        jobs = {(view.method, view.noise, view.rate): view.state for view in store.jobs()}
        models = [store.artifacts(key=view.key, kind="model") for view in store.jobs() if view.method == "simclr"]
    assert sorted(jobs, key=str) == [("c2d", "symmetric", 0.4), ("c2d", "symmetric", 0.8), ("simclr", "clean", None)]
    assert [len(kept) for kept in models] == [1]
