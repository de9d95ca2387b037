"""`lnlbench plot --job`: what it writes of a really trained job, and what it says where there is no model."""

from __future__ import annotations

from pathlib import Path

import pytest
from trained_jobs import Kept, Noise, job_of, recorded, trained

KINDS = ("activation-train", "activation-test", "reconstruction", "embedding")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kept]:
    folder = tmp_path_factory.mktemp("kept")
    jobs = {
        "ce": job_of("ce"),
        "sanm": job_of("sanm(ce)", start_epoch=0),
        "rfl": job_of("rfl"),
        "no cluster": job_of("rfl", cluster=False),
        "other noise": job_of("rfl", noise=Noise("symmetric", 0.2)),
    }
    return {name: trained(folder, job) for name, job in jobs.items()}


@pytest.fixture
def plot(lnlbench, models, tmp_path):
    """`plot(names, ...)`: the command on trained jobs, all of which are in the database."""
    for kept in models.values():
        recorded(tmp_path / "r.sqlite", kept)

    def run(names, *words):
        keys = [word for name in names for word in ("--job", models[name].job.key[:10])]
        return lnlbench("plot", *keys, "--db", "r.sqlite", "--out", "out", "--device", "cpu", *words)

    return run


def test_every_kind_is_drawn_of_two_jobs_with_its_caption(plot, models, tmp_path):
    ended = plot(["ce", "sanm"], "--format", "png", "--format", "svg", "--dpi", "40")
    assert ended.code == 0, ended.err
    ends = f"digits-{models['ce'].job.key[:8]}-{models['sanm'].job.key[:8]}"
    expected = {f"{kind}-{ends}.{end}" for kind in KINDS for end in ("png", "svg", "txt")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected
    assert {line.removeprefix("wrote out/") for line in ended.out.splitlines()} == expected
    caption = (tmp_path / "out" / f"reconstruction-{ends}.txt").read_text()
    assert "sanm(ce), network net: restored" in caption
    assert "Not here: ce has no decoder." in caption


def test_the_same_seed_gives_the_same_files_and_numbers(plot, tmp_path):
    first = plot(["rfl"], "--seed", "3", "--format", "svg", "--json").json
    bytes_of_first = [Path(name).read_bytes() for name in first["written"]]
    again = plot(["rfl"], "--seed", "3", "--format", "svg", "--json").json
    assert again == first
    assert [Path(name).read_bytes() for name in again["written"]] == bytes_of_first
    numbers = {name.rsplit("-digits")[0]: found for name, found in first["numbers"].items()}
    assert set(numbers) == set(KINDS)
    assert numbers["embedding"]["jobs"][0]["label"] == "rfl"
    assert {"purity", "silhouette", "knn_accuracy"} < set(numbers["embedding"]["jobs"][0])
    assert [g["samples"] for g in numbers["activation-test"]["jobs"][0]["groups"]] != [0, 0]
    assert {"restored", "corrupted", "network"} < set(numbers["reconstruction"]["jobs"][0])


def test_jobs_of_one_method_are_told_apart_by_what_differs(plot):
    words = ("--kind", "embedding", "--format", "svg", "--json", "--samples", "30")
    ended = plot(["rfl", "no cluster", "other noise"], *words)
    assert ended.code == 0, ended.err
    (found,) = ended.json["numbers"].values()
    assert [job["label"] for job in found["jobs"]] == [
        "rfl, symmetric 40%, cluster true",
        "rfl, symmetric 40%, cluster false",
        "rfl, symmetric 20%, cluster true",
    ]


def test_what_cannot_be_drawn_is_said_and_the_rest_is_drawn(plot):
    ended = plot(["ce", "other noise"], "--kind", "activation", "--kind", "reconstruction", "--format", "svg")
    assert ended.code == 0
    assert "wrote out/activation-test-" in ended.out
    assert "not drawn: activation: the training images or labels of these jobs differ" in ended.out
    ended = plot(["ce"], "--kind", "reconstruction")
    assert ended.code == 2
    assert "not drawn: reconstruction: ce has no decoder: nothing is restored." in ended.out
    assert "nothing could be drawn" in ended.err


def test_a_job_without_a_model_says_how_to_keep_one(lnlbench, models, tmp_path):
    recorded(tmp_path / "r.sqlite", models["sanm"], model=False)
    ended = lnlbench("plot", "--job", models["sanm"].job.key, "--db", "r.sqlite")
    assert ended.code == 2
    assert "its model was not kept" in ended.err
    assert "lnlbench run --method 'sanm(ce)' --dataset digits --noise symmetric --rate 0.4 --seed 1" in ended.err
    assert "--keep-models --rerun --db r.sqlite" in ended.err


def test_a_model_that_is_gone_or_altered_is_named(lnlbench, models, tmp_path):
    copy = tmp_path / "copy.pt"
    copy.write_bytes(b"altered")
    recorded(tmp_path / "r.sqlite", models["ce"]._replace(path=copy))
    words = ("plot", "--job", models["ce"].job.key, "--db", "r.sqlite", "--device", "cpu")
    ended = lnlbench(*words)
    assert f"{copy} cannot be read, or was altered" in ended.err
    assert "--keep-models --rerun" in ended.err
    copy.unlink()
    assert f"its model {copy} is gone" in lnlbench(*words).err


def test_jobs_that_have_not_come_to_a_model_are_told_apart(lnlbench, filled):
    assert "it is not done (failed)" in lnlbench("plot", "--job", filled.failed[:8], "--db", filled.path).err
    assert "different data sets: digits, cifar10" in (
        lnlbench("plot", "--job", filled.done, "--job", filled.failed, "--db", filled.path).err
    )
    assert "no job's key starts with" in lnlbench("plot", "--job", "0" * 64, "--db", filled.path).err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--job", "a", "--suite", "quickstart", "--rate", "0.2"], "--suite, --rate would choose others"),
        (["--job", "a", "--kind", "curves"], "curves is drawn from a suite's results"),
        (["--job", "a", "--kind", "activaton"], "Did you mean 'activation'"),
        (["--job", "a", "--seed", "1-3"], "one --seed"),
        (["--job", "a", "--samples", "9"], "Give one --kind with it"),
        (["--kind", "embedding"], "Give --job KEY"),
        (["--samples", "3"], "--samples is for figures of a trained job"),
        (["--device", "cpu"], "--device is for figures of a trained job"),
    ],
)
def test_options_that_do_not_go_together_are_refused(lnlbench, words, said):
    ended = lnlbench("plot", *words)
    assert ended.code == 2
    assert said in ended.err


def test_a_job_is_drawn_once_and_a_page_has_room_for_six(plot, models):
    assert "names one job twice" in plot(["ce", "ce"]).err
    assert "7 jobs are too many" in plot(["ce"] * 7).err or "twice" in plot(["ce"] * 7).err


def test_the_kinds_of_jobs_are_listed(lnlbench):
    listed = [row["kind"] for row in lnlbench("plot", "--list", "--json").json]
    assert listed[-3:] == ["activation", "reconstruction", "embedding"]


def test_a_mistyped_kind_of_either_sort_has_its_nearest_match(lnlbench):
    for words, near in ((("--kind", "embeding"), "'embedding'"), (("--job", "ab", "--kind", "bar"), "'bars'")):
        ended = lnlbench("plot", *words)
        assert (ended.code, near in ended.err) == (2, True)
