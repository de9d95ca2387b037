"""Data sets of one's own: what a description and its table say, and what is refused with which words."""

from __future__ import annotations

import pytest
import synthetic_trees as trees

from lnlbench.data.catalogue import dataset_info, known_datasets
from lnlbench.data.load import load_dataset
from lnlbench.data.verify import verify
from lnlbench.errors import DataError, UnknownName


@pytest.fixture
def pets(tmp_path, monkeypatch):
    monkeypatch.setenv("LNLBENCH_DATA", str(tmp_path))
    return trees.folder(tmp_path, "pets", trees.pets())


def table(folder, *lines: str) -> None:
    (folder / "labels.csv").write_text("\n".join(lines))


def test_the_entry_comes_from_the_description_and_the_table(pets):
    info = dataset_info("pets")
    assert (info.classes, info.train, info.test, info.side) == (3, 24, 9, 32)
    assert info.title == "My & <own> data_set"
    assert info.labels == "both"


def test_samples_are_in_the_order_of_the_lines_with_given_and_true_labels(pets, tmp_path):
    data = load_dataset("pets", tmp_path)
    assert data.class_names == ("cat", "dog, small", "rat")
    assert data.train_images.path(3).name == "003,3.jpg"
    assert data.train_labels[:5].tolist() == [1, 1, 2, 0, 2]
    assert data.true_labels[:5].tolist() == [0, 1, 2, 0, 1]
    assert data.test_labels.tolist() == [0, 1, 2] * 3


def test_without_true_labels_nobody_knows_them(pets, tmp_path):
    rows = [f'"{path}","{label}",{split}' for path, label, _, split in trees.pets()]
    table(pets, "path,label,split", *rows)
    assert dataset_info("pets").labels == "noisy"
    assert load_dataset("pets", tmp_path).true_labels is None


def test_numbers_are_ids_and_the_classes_may_be_named(pets, tmp_path):
    rows = [f'"{path}",{i % 3},{split}' for i, (path, _, _, split) in enumerate(trees.pets())]
    table(pets, "path,label,split", *rows)
    assert load_dataset("pets", tmp_path).class_names == ("0", "1", "2")
    (pets / "dataset.yaml").write_text("labels: labels.csv\nclasses: [a, b, c]\n")
    assert load_dataset("pets", tmp_path).class_names == ("a", "b", "c")
    (pets / "dataset.yaml").write_text("labels: labels.csv\nclasses: [a, b]\n")
    with pytest.raises(DataError, match=r"label 2, and 'classes' names 0 to 1 only"):
        load_dataset("pets", tmp_path)


def test_class_folders_need_no_table(tmp_path):
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for i in range(count):
            trees.jpeg(tmp_path / "mine" / split / ("b" if i % 2 else "a") / f"{i}.png.jpg", i % 2, seed=i)
    (tmp_path / "mine" / "dataset.yaml").write_text("")
    data = load_dataset("mine", tmp_path)
    assert data.train_labels.tolist() == [0, 0, 1, 1]
    assert data.valid_labels.tolist() == [0, 1]
    assert data.train_images.side == 256


def test_content_without_a_named_fingerprint_is_marked(pets, tmp_path):
    first = verify("pets", tmp_path)
    assert first.verdict == "modified"
    assert "names no fingerprint" in first.message
    description = (pets / "dataset.yaml").read_text()
    (pets / "dataset.yaml").write_text(f"{description}fingerprint: {first.fingerprint}\n")
    assert verify("pets", tmp_path).verdict == "canonical"
    trees.jpeg(pets / "img/000,0.jpg", 2, size=(100, 90))
    assert verify("pets", tmp_path).verdict == "modified"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["file,label", "a.jpg,1"], "no column path"),
        (["path,label,split", "a.jpg,1,trian"], "line 2: split 'trian', allowed: train, val, test"),
        (["path,label", "a,b.jpg,1"], "line 2: not as many values as columns"),
        (["path,label", "a.jpg,"], "line 2: path or label is empty"),
        (["path,label", "a.jpg,1"], "no test images"),
        (["path,label,split", "a.jpg,0,train", "b.jpg,1,test"], "no training image is labelled 1"),
        (["path,label,split", "../a.jpg,0,train", "b.jpg,0,test"], "'../a.jpg' is not a path inside"),
        (["path,label,split", "a.jpg,0,train", "a.jpg,0,train", "b.jpg,0,test"], "a.jpg is listed twice"),
        (["path,label,split", "a.jpg,0,train", "b.jpg,0,test"], "1 of 1 listed images are not under"),
        (["path,label\0"], "no column label"),
    ],
)
def test_a_wrong_table_is_told_with_its_line(pets, tmp_path, lines, said):
    table(pets, *lines)
    with pytest.raises(DataError, match=said):
        load_dataset("pets", tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("labels: other.csv", "there is no .*other.csv"),
        ("label: labels.csv", "Did you mean 'labels'"),
        ("labels: [", "dataset.yaml"),
        ("- a", "expected names with values"),
        ("labels: labels.csv\nclasses: [cat]", "'dog, small' is none of 'classes'"),
    ],
)
def test_a_wrong_description_is_told_with_its_file(pets, tmp_path, text, said):
    (pets / "dataset.yaml").write_text(text)
    with pytest.raises(DataError, match=said):
        dataset_info("pets")
    found, wrong = known_datasets(tmp_path)
    assert "pets" not in [info.key for info in found]
    assert len(wrong) == 1


def test_an_unknown_name_may_be_meant_for_one_s_own(pets):
    with pytest.raises(UnknownName, match="Did you mean 'pets'"):
        dataset_info("pest")
