"""Data sets in image folders as a person meets them: found, verified, refused, and run from the command line."""

from __future__ import annotations

import pytest
import synthetic_trees as trees

TINY = ("--set", "epochs=2", "--set", "width=0.25", "--set", "batch_size=8", "--set", "image_size=16")


@pytest.fixture
def data(lnlbench, tmp_path):
    return tmp_path / "data"


def test_every_data_set_is_listed_and_shown_with_the_way_to_it(lnlbench, data):
    trees.folder(data, "pets", trees.pets())
    found = {entry["name"]: entry for entry in lnlbench("list", "datasets", "--json").json["datasets"]}
    assert found["pets"]["found"]
    assert not found["clothing1m"]["found"]
    shown = lnlbench("show", "dataset", "clothing1m").out
    assert "14,313 images with true labels" in shown
    assert "on request from its authors" in shown
    assert "My & <own> data_set" in lnlbench("show", "dataset", "pets").out


def test_a_wrong_description_is_told_and_hides_nothing_else(lnlbench, data):
    trees.folder(data, "pets", trees.pets())
    (data / "broken").mkdir()
    (data / "broken" / "dataset.yaml").write_text("labels: nowhere.csv")
    listed = lnlbench("list", "datasets")
    assert listed.code == 0
    assert "pets" in listed.out
    assert "there is no" in listed.out
    assert "nowhere.csv" in lnlbench("doctor").out


@pytest.mark.parametrize("command", [("data", "download"), ("data", "prepare")])
def test_what_is_given_on_request_is_not_downloaded(lnlbench, command):
    ended = lnlbench(*command, "animal10n")
    assert ended.code == 2 or ended.code == 1
    assert "on request from its authors" in ended.err
    assert "animal10n/training/" in ended.err


def test_a_run_without_the_data_says_where_it_belongs(lnlbench):
    ended = lnlbench("run", "--method", "ce", "--dataset", "animal10n", "--noise", "real", "--scale", "smoke", *TINY)
    assert ended.code != 0
    assert "animal10n: no data under" in ended.err


def test_noise_is_not_drawn_on_labels_that_nobody_knows(lnlbench, data):
    trees.animal10n(data, 20, 10)
    ended = lnlbench("run", "--method", "ce", "--dataset", "animal10n", "--noise", "clean", "--scale", "smoke")
    assert ended.code != 0
    assert "Use real for its labels as they are" in ended.err
    words = ("--dataset", "animal10n", "--noise", "real", "--out", "labels.json")
    lnlbench("data", "verify", "animal10n", "--allow-missing")
    assert "true labels of animal10n's training images are unknown" in lnlbench("data", "noise", "export", *words).err


def test_animal10n_runs_from_its_files_to_the_table(lnlbench, data, monkeypatch):
    trees.animal10n(data, 40, 20)
    incomplete = lnlbench("data", "verify", "animal10n")
    assert incomplete.code == 1
    assert "40 training images, expected 50,000 (49,960 missing)" in incomplete.out
    assert lnlbench("data", "verify", "animal10n", "--allow-missing").code == 0
    monkeypatch.setenv("LNLBENCH_IMAGES_GIB", "0")
    jobs = ("--method", "ce", "--method", "dividemix", "--dataset", "animal10n", "--noise", "real")
    ended = lnlbench("run", *jobs, "--scale", "smoke", "--workers", 1, "--set", "warmup_epochs=1", *TINY)
    assert ended.code == 0, ended.err
    assert "2 of 2 jobs done" in ended.out
    report = lnlbench("report", *jobs, "--scale", "smoke", "--set", "warmup_epochs=1", *TINY)
    assert report.code == 0, report.err
    assert "Animal-10N" in report.out
    assert "40 training images, expected 50,000" in " ".join(report.out.split())


def test_a_broken_image_ends_the_job_with_its_path(lnlbench, data, tmp_path):
    trees.folder(data, "pets", trees.pets())
    (data / "pets" / "img" / "004,4.jpg").write_bytes(b"no image")
    assert "004,4.jpg: cannot be read as an image" in lnlbench("data", "verify", "pets", "--deep").out
    words = ("--method", "ce", "--dataset", "pets", "--noise", "real", "--scale", "smoke", "--workers", 1, *TINY)
    ended = lnlbench("run", *words, "--data-dir", data)
    assert ended.code == 1
    assert "004,4.jpg: cannot be read as an image" in ended.out + ended.err
