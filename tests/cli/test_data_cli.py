"""`lnlbench data`: fetching, checking, and label noise as files that a run can take."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from lnlbench.data import catalogue
from lnlbench.data.load import load_dataset
from lnlbench.data.noise import corrupt
from lnlbench.job import Noise

CONTENT = b"labels" * 5000


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server with a small file under the name of CIFAR-10N's, which the catalogue is told to expect."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "CIFAR-10_human.pt").write_bytes(CONTENT)
    info = catalogue.LABEL_FILES["cifar10n"]
    file = dataclasses.replace(info.file, md5=hashlib.md5(CONTENT).hexdigest(), bytes=len(CONTENT))
    monkeypatch.setitem(catalogue.LABEL_FILES, "cifar10n", dataclasses.replace(info, file=file))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_list_says_what_is_there(lnlbench):
    found = {entry["name"]: entry["found"] for entry in lnlbench("data", "list", "--json").json["datasets"]}
    assert found["digits"] is True
    assert found["cifar10"] is False


def test_a_download_states_the_terms_and_its_progress(lnlbench, mirror, tmp_path):
    ended = lnlbench("data", "download", "cifar10n", "--to", tmp_path / "d", "--mirror", mirror)
    assert ended.code == 0
    assert "CC BY-NC 4.0" in ended.err
    assert "100%" in ended.err
    assert (tmp_path / "d" / "CIFAR-10_human.pt").read_bytes() == CONTENT


def test_what_is_downloaded_is_not_downloaded_again(lnlbench, mirror, tmp_path):
    words = ("data", "download", "cifar10n", "--to", tmp_path / "d", "--mirror", mirror, "--json")
    first, again = lnlbench(*words), lnlbench(*words)
    assert first.json == again.json
    assert again.err == ""


def test_prepare_downloads_what_is_missing_and_checks_it(lnlbench, mirror, tmp_path):
    ended = lnlbench("data", "prepare", "cifar10n", "--to", tmp_path / "d", "--mirror", mirror, "--json")
    assert ended.code == 0
    assert ended.json["verdict"] == "canonical"


def test_a_wrong_name_stops_a_download_before_it_starts(lnlbench, mirror, tmp_path):
    ended = lnlbench("data", "download", "cifar10n", "cifar11", "--to", tmp_path / "d", "--mirror", mirror)
    assert ended.code == 2
    assert "'cifar10'" in ended.err
    assert not (tmp_path / "d").exists()


def test_digits_need_nothing(lnlbench):
    ended = lnlbench("data", "prepare", "digits")
    assert ended.code == 0
    assert "nothing" in ended.err
    assert "1,437 images" in ended.out
    assert "nothing to download" in lnlbench("data", "download", "digits").out


def test_verify_of_missing_data_says_how_to_get_it_and_fails(lnlbench):
    ended = lnlbench("data", "verify", "cifar10")
    assert ended.code == 1
    assert "lnlbench data download cifar10" in ended.out


def test_verify_of_broken_data_fails(lnlbench, tmp_path):
    for member in catalogue.DATASETS["cifar10"].members:
        path = tmp_path / member.path
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not a batch")
    ended = lnlbench("data", "verify", "cifar10", "--data-dir", tmp_path, "--json")
    assert ended.code == 1
    assert ended.json["verdict"] == "broken"
    assert len(ended.json["files"]) == 8


@pytest.mark.cifar
def test_verify_of_real_data_reads_its_histogram(lnlbench, cifar_dir):
    ended = lnlbench("data", "verify", "cifar10", "--data-dir", cifar_dir)
    assert ended.code == 0
    assert "5,000 each of 10" in ended.out


@pytest.mark.parametrize("name", ["n.json", "n.npy", "n.csv"])
def test_exported_labels_are_those_of_a_job_and_come_back(lnlbench, tmp_path, name):
    words = ("--dataset", "digits", "--noise", "symmetric", "--rate", 0.4, "--seed", 3)
    written = lnlbench("data", "noise", "export", *words, "--out", tmp_path / name, "--json")
    assert written.code == 0
    digits = load_dataset("digits")
    labels = corrupt(Noise(name="symmetric", rate=0.4), digits.train_labels, 10, 3, dataset="digits")
    assert written.json["wrong"] == int((labels != digits.train_labels).sum())
    read = lnlbench("data", "noise", "import", tmp_path / name, "--dataset", "digits", "--json")
    assert read.json["sha256"] == written.json["sha256"]
    assert json.loads((tmp_path / "n.meta.json").read_text())["seed"] == 3


def test_the_line_that_import_prints_makes_a_suite_that_trains_on_the_labels(lnlbench, tmp_path):
    import yaml

    from lnlbench.suite import load_suite

    lnlbench("data", "noise", "export", "-d", "digits", "-n", "symmetric", "-r", 0.4, "--out", tmp_path / "n: #1.json")
    ended = lnlbench("data", "noise", "import", tmp_path / "n: #1.json", "-d", "digits")
    columns, command = ended.out[ended.out.index("columns:") :].split("or, without a suite:\n")
    assert yaml.safe_load(columns)["columns"][0]["dataset"] == "digits"
    suite = tmp_path / "mine.yaml"
    suite.write_text(f"title: Mine\nrecipe: quickstart\nseeds: 1\n{columns}rows:\n  - {{label: CE, method: ce}}\n")
    job = load_suite(suite).plan("smoke").jobs[0]
    true = load_dataset("digits").train_labels
    noisy = corrupt(job.noise, true, 10, 1, dataset="digits")
    assert 0.3 < float(np.mean(noisy != true)) < 0.42
    words = [word.replace("NAME", "ce") for word in shlex.split(command)[1:]]
    listed = lnlbench(*words, "--dry-run", "--json").json
    assert [row["job"] for row in listed] == ["ce digits file seed 1"]


def test_a_released_draw_has_the_seed_it_was_released_with(lnlbench, tmp_path):
    words = ("-d", "digits", "-n", "symmetric", "-r", 0.5, "--draw", "released", "--out", tmp_path / "n.json")
    assert lnlbench("data", "noise", "export", *words, "--json").json["seed"] == 123
    ended = lnlbench("data", "noise", "export", *words, "--force", "--seed", 7)
    assert ended.code == 2
    assert "123" in ended.err


def test_an_export_replaces_nothing_unless_told(lnlbench, tmp_path):
    (tmp_path / "n.json").write_text("mine")
    words = ("data", "noise", "export", "-d", "digits", "-n", "pairflip", "-r", 0.2, "--out", tmp_path / "n.json")
    assert lnlbench(*words).code == 2
    assert (tmp_path / "n.json").read_text() == "mine"
    assert lnlbench(*words, "--force").code == 0


def test_a_noise_beyond_its_bound_is_cautioned_in_one_line(lnlbench, tmp_path):
    ended = lnlbench(
        "data", "noise", "export", "-d", "digits", "-n", "pairflip", "-r", 0.6, "--out", tmp_path / "n.npy"
    )
    assert ended.code == 0
    assert ended.err.startswith("caution: ")
    assert ".py:" not in ended.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-n", "symetric", "-r", 0.2), "'symmetric'"),
        (("-n", "symmetric"), "needs a rate"),
        (("-n", "symmetric", "-r", 0.2, "--set", "targts=1"), "'targets'"),
        (("-n", "human", "--set", "variant=worst"), "cifar10"),
    ],
)
def test_noise_that_cannot_be_drawn_writes_nothing(lnlbench, tmp_path, words, says):
    ended = lnlbench("data", "noise", "export", "-d", "digits", *words, "--out", tmp_path / "n.json")
    assert ended.code == 2
    assert says in ended.err
    assert not (tmp_path / "n.json").exists()


def test_labels_in_another_order_are_refused(lnlbench, tmp_path):
    labels = np.random.default_rng(0).permutation(load_dataset("digits").train_labels)
    np.save(tmp_path / "n.npy", labels)
    ended = lnlbench("data", "noise", "import", tmp_path / "n.npy", "-d", "digits")
    assert ended.code == 2
    assert "order" in ended.err


def test_a_folder_that_cannot_be_written_is_said(lnlbench, tmp_path):
    (tmp_path / "file").write_text("")
    words = ("-d", "digits", "-n", "pairflip", "-r", 0.2, "--out", tmp_path / "file" / "n.json")
    ended = lnlbench("data", "noise", "export", *words)
    assert ended.code == 2
    assert "cannot be written" in ended.err
