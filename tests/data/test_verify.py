"""`verify`: the four verdicts and what they rest on."""

from __future__ import annotations

import dataclasses
import json

import pytest
import synthetic_cifar as small

from lnlbench.data.catalogue import LABEL_FILES
from lnlbench.data.checksums import MEMORY
from lnlbench.data.load import load_dataset
from lnlbench.data.verify import verify
from lnlbench.errors import UnknownName


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    members = small.cifar10_members()
    small.declare_canonical(monkeypatch, "cifar10", members)
    return tmp_path, small.write(tmp_path, "cifar10", members), members


def test_canonical_copy_reports_files_counts_and_hashes(cifar10):
    report = verify("cifar10", cifar10[0])
    assert report.verdict == "canonical"
    assert report.usable
    assert report.message == ""
    assert report.fingerprint == load_dataset("cifar10", cifar10[0]).fingerprint
    members = {file.path: file for file in report.files}
    assert members["cifar-10-batches-py/test_batch"].right
    assert members["cifar-10-batches-py/test_batch"].bytes == len(cifar10[2]["test_batch"])
    assert not members["cifar-10-python.tar.gz"].present
    train, test = report.splits
    assert (train.images, test.images) == (150, 30)
    assert sum(train.histogram) == 150
    assert len(train.histogram) == 10
    assert train.image_shape == (3, 32, 32)
    json.dumps(report.to_dict())


def test_modified_copy_says_which_file_differs(cifar10):
    content = bytearray(cifar10[2]["data_batch_3"])
    content[2000] ^= 1
    (cifar10[1] / "data_batch_3").write_bytes(content)
    report = verify("cifar10", cifar10[0])
    assert report.verdict == "modified"
    assert "data_batch_3 differs" in report.message
    assert [file.path for file in report.files if file.present and not file.right] == [
        "cifar-10-batches-py/data_batch_3"
    ]


def test_broken_copy_keeps_the_reader_s_message(cifar10):
    (cifar10[1] / "test_batch").write_bytes(b"")
    report = verify("cifar10", cifar10[0])
    assert report.verdict == "broken"
    assert not report.usable
    assert "test_batch: cannot be read" in report.message
    assert report.splits == ()


def test_missing_data_say_how_to_get_them(tmp_path):
    report = verify("cifar100", tmp_path)
    assert report.verdict == "missing"
    assert f"Run: lnlbench data download cifar100 --to {tmp_path}" in report.message


def test_memory_is_not_believed(cifar10):
    load_dataset("cifar10", cifar10[0])
    memory = json.loads((cifar10[0] / MEMORY).read_text())
    for known in memory["files"].values():
        known["md5"] = "0" * 32
    memory["fingerprints"]["cifar10"]["value"] = "wrong"
    (cifar10[0] / MEMORY).write_text(json.dumps(memory))
    assert not load_dataset("cifar10", cifar10[0]).canonical
    assert verify("cifar10", cifar10[0]).verdict == "canonical"
    assert load_dataset("cifar10", cifar10[0]).canonical


def test_digits_are_verified_without_files(tmp_path):
    report = verify("digits", tmp_path)
    assert report.verdict == "canonical"
    assert report.files == ()
    assert [split.images for split in report.splits] == [1437, 360]


def test_label_files_have_three_verdicts(tmp_path, monkeypatch):
    info = LABEL_FILES["cifar10n"]
    file = dataclasses.replace(info.file, md5=small.md5(b"labels"))
    monkeypatch.setitem(LABEL_FILES, "cifar10n", dataclasses.replace(info, file=file))
    missing = verify("cifar10n", tmp_path)
    assert missing.verdict == "missing"
    assert "lnlbench data download cifar10n" in missing.message
    (tmp_path / "CIFAR-10_human.pt").write_bytes(b"labels")
    assert verify("cifar10n", tmp_path).verdict == "canonical"
    (tmp_path / "CIFAR-10_human.pt").write_bytes(b"other")
    broken = verify("cifar10n", tmp_path)
    assert broken.verdict == "broken"
    assert "md5 is" in broken.message


def test_unknown_name_lists_label_files_too(tmp_path):
    with pytest.raises(UnknownName, match="cifar100n"):
        verify("cifar101n", tmp_path)
