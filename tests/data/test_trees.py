"""The readers of image folders: which image has which label, in which order, and what they refuse with which words."""

from __future__ import annotations

import numpy as np
import pytest
import synthetic_trees as trees

from lnlbench.data.checksums import MEMORY
from lnlbench.data.load import load_dataset
from lnlbench.data.verify import verify
from lnlbench.errors import DataError


def names(images) -> list[str]:
    return [images.path(i).name for i in range(len(images))]


@pytest.fixture
def animal10n(tmp_path, monkeypatch):
    trees.shrink(monkeypatch, "animal10n", train=40, test=20)
    return trees.animal10n(tmp_path, 40, 20)


@pytest.fixture
def clothing1m(tmp_path, monkeypatch):
    trees.shrink(monkeypatch, "clothing1m", train=42, test=14, validation=28)
    return trees.clothing1m(tmp_path, 42, 28, 14)


class TestAnimal10N:
    def test_labels_are_in_the_names_and_the_order_is_that_of_the_sorted_names(self, animal10n, tmp_path):
        data = load_dataset("animal10n", tmp_path)
        assert names(data.train_images) == sorted(names(data.train_images))
        assert [int(name[0]) for name in names(data.train_images)] == data.train_labels.tolist()
        assert data.train_images.shape == (40, 3, 64, 64)
        assert data.test_images.shape == (20, 3, 64, 64)
        assert data.class_names[9] == "guinea pig"
        assert data.canonical

    def test_nobody_knows_its_true_training_labels(self, animal10n, tmp_path):
        assert load_dataset("animal10n", tmp_path).true_labels is None

    def test_class_folders_are_read_too(self, tmp_path, monkeypatch):
        trees.shrink(monkeypatch, "animal10n", train=20, test=10)
        for folder, count in (("train", 20), ("test", 10)):
            for i in range(count):
                trees.jpeg(tmp_path / "animal10n" / folder / str(i % 10) / f"img_{i:03}.jpg", i % 10, seed=i)
        data = load_dataset("animal10n", tmp_path)
        assert data.train_labels.tolist() == np.repeat(np.arange(10), 2).tolist()

    def test_binary_batches_are_sorted_by_id_and_big_endian(self, tmp_path, monkeypatch):
        trees.shrink(monkeypatch, "animal10n", train=30, test=10)
        record = np.dtype([("id", ">u4"), ("label", ">u4"), ("pixels", "u1", (3, 64, 64))])
        (tmp_path / "animal10n").mkdir()
        for name, count in (("data_batch_1.bin", 30), ("test_batch.bin", 10)):
            batch = np.zeros(count, record)
            batch["id"] = np.arange(count)[::-1]
            batch["label"] = batch["id"] % 10
            batch["pixels"][:, 0, 0, 0] = batch["id"]
            batch.tofile(tmp_path / "animal10n" / name)
        data = load_dataset("animal10n", tmp_path)
        assert data.train_images[:, 0, 0, 0].tolist() == list(range(30))
        assert data.train_labels.tolist() == [i % 10 for i in range(30)]
        assert data.true_labels is None
        (tmp_path / "animal10n" / "test_batch.bin").write_bytes(bytes(12_295))
        with pytest.raises(DataError, match=r"test_batch.bin: 12,295 bytes is not a multiple of 12,296"):
            load_dataset("animal10n", tmp_path)

    def test_missing_images_are_counted(self, animal10n, tmp_path):
        for path in sorted((animal10n / "training").iterdir())[:2]:
            path.unlink()
        with pytest.raises(DataError, match=r"38 training images, expected 40 \(2 missing\)"):
            load_dataset("animal10n", tmp_path)

    def test_missing_images_can_be_allowed_and_are_then_marked(self, animal10n, tmp_path):
        next((animal10n / "testing").iterdir()).unlink()
        assert verify("animal10n", tmp_path).verdict == "broken"
        report = verify("animal10n", tmp_path, allow_missing=True)
        assert report.verdict == "modified"
        data = load_dataset("animal10n", tmp_path)
        assert not data.canonical
        assert "19 test images, expected 20 (1 missing)" in data.note

    def test_a_name_without_a_label_is_named(self, animal10n, tmp_path):
        trees.jpeg(animal10n / "testing" / "cat.jpg", 0)
        with pytest.raises(DataError, match=r"testing/cat.jpg has no label before its first '_'"):
            load_dataset("animal10n", tmp_path)

    def test_other_files_are_not_images(self, animal10n, tmp_path):
        (animal10n / "training" / "Thumbs.db").write_bytes(b"x")
        (animal10n / "training" / "._0_00001.jpg").write_bytes(b"x")
        assert len(load_dataset("animal10n", tmp_path).train_images) == 40

    def test_no_data_says_where_it_belongs_and_how_to_get_it(self, tmp_path):
        with pytest.raises(DataError, match=r"(?s)no data under .*animal10n.*on request.*animal10n/training/"):
            load_dataset("animal10n", tmp_path)

    def test_half_of_a_layout_says_what_is_missing(self, tmp_path):
        (tmp_path / "animal10n" / "training").mkdir(parents=True)
        with pytest.raises(DataError, match="animal10n/testing missing"):
            load_dataset("animal10n", tmp_path)


class TestClothing1M:
    def test_splits_follow_their_lists(self, clothing1m, tmp_path):
        data = load_dataset("clothing1m", tmp_path)
        assert (len(data.train_images), len(data.valid_images), len(data.test_images)) == (42, 28, 14)
        assert data.train_labels.tolist() == [i % 14 for i in range(42)]
        assert data.train_images.path(1).relative_to(clothing1m).as_posix() == "images/1/01/1301000001,3478500001.jpg"
        assert data.class_names[13] == "Underwear"
        assert data.true_labels is None
        assert data.canonical

    def test_lists_may_lie_in_annotations(self, tmp_path, monkeypatch):
        trees.shrink(monkeypatch, "clothing1m", train=14, test=14, validation=14)
        trees.clothing1m(tmp_path, 14, 14, 14, "annotations")
        assert len(load_dataset("clothing1m", tmp_path).train_images) == 14

    def test_missing_lists_are_named_with_the_places_looked_at(self, clothing1m, tmp_path):
        (clothing1m / "noisy_train_key_list.txt").unlink()
        (clothing1m / "noisy_label_kv.txt").unlink()
        said = r"noisy_train_key_list.txt and noisy_label_kv.txt are missing \(looked in .*clothing1m and .*annotations"
        with pytest.raises(DataError, match=said):
            load_dataset("clothing1m", tmp_path)

    def test_counts_are_those_of_the_release(self, clothing1m, tmp_path):
        path = clothing1m / "clean_test_key_list.txt"
        path.write_text("\n".join(path.read_text().split("\n")[:10]))
        with pytest.raises(DataError, match=r"clean_test_key_list.txt has 10 entries, expected 14"):
            load_dataset("clothing1m", tmp_path)

    def test_a_training_list_with_test_images_is_refused(self, clothing1m, tmp_path):
        train, test = (clothing1m / f"{name}_key_list.txt" for name in ("noisy_train", "clean_test"))
        stolen = test.read_text().split("\n")[0]
        train.write_text("\n".join([stolen, *train.read_text().split("\n")[1:]]))
        labels = clothing1m / "noisy_label_kv.txt"
        labels.write_text(labels.read_text() + f"{stolen} 3\n")
        with pytest.raises(DataError, match=r"1 images of noisy_train_key_list.txt are also in clean_test_key"):
            load_dataset("clothing1m", tmp_path)

    def test_missing_images_are_counted_and_named(self, clothing1m, tmp_path):
        (clothing1m / "images/3/03/1301000003,3478500003.jpg").unlink()
        with pytest.raises(DataError, match=r"(?s)1 of 42 listed images are not under .*3478500003.jpg.*--allow"):
            load_dataset("clothing1m", tmp_path)
        verify("clothing1m", tmp_path, allow_missing=True)
        data = load_dataset("clothing1m", tmp_path)
        assert len(data.train_images) == len(data.train_labels) == 41
        assert 3 in data.train_labels
        assert "1 images are missing" in data.note

    @pytest.mark.parametrize("label", ["14", "-1", "x", ""])
    def test_labels_outside_the_classes_are_refused(self, clothing1m, tmp_path, label):
        path = clothing1m / "clean_label_kv.txt"
        path.write_text(path.read_text().replace("3478500070.jpg 0", f"3478500070.jpg {label}"))
        with pytest.raises(DataError, match=r"has the label|have no label"):
            load_dataset("clothing1m", tmp_path)

    def test_sizes_are_asked_for_once(self, clothing1m, tmp_path, monkeypatch):
        from lnlbench.data import trees as trees_module

        before = load_dataset("clothing1m", tmp_path).fingerprint
        assert (tmp_path / MEMORY).exists()
        monkeypatch.setattr(trees_module, "sizes", None)
        assert load_dataset("clothing1m", tmp_path).fingerprint == before

    def test_other_pixels_have_another_fingerprint_when_verified(self, clothing1m, tmp_path):
        before = verify("clothing1m", tmp_path)
        assert [split.name for split in before.splits] == ["train", "validation", "test"]
        trees.jpeg(clothing1m / "images/3/03/1301000003,3478500003.jpg", 5, size=(300, 200))
        assert verify("clothing1m", tmp_path).fingerprint != before.fingerprint


class TestWebVision:
    @pytest.fixture
    def webvision(self, tmp_path, monkeypatch):
        trees.shrink(monkeypatch, "webvision", train=100, test=50)
        root = tmp_path / "webvision"
        lines = {"train": [], "val": []}
        for i in range(160):
            split = "train" if i < 110 else "val"
            name = f"google/q{i % 55:04}/{i}.jpg" if split == "train" else f"val{i:08}.jpg"
            trees.jpeg(root / ("" if split == "train" else "val_images_256") / name, i % 55, seed=i)
            lines[split].append(f"{name} {i % 55 if split == 'train' else (i - 110) % 50}")
        (root / "info").mkdir()
        (root / "info" / "train_filelist_google.txt").write_text("\n".join(lines["train"]))
        (root / "info" / "val_filelist.txt").write_text("\n".join(lines["val"]))
        (root / "info" / "synsets.txt").write_text("\n".join(f"n{c:08} thing {c}, other" for c in range(55)))
        return root

    def test_the_first_fifty_classes_are_kept(self, webvision, tmp_path):
        data = load_dataset("webvision", tmp_path)
        assert data.train_labels.tolist() == [*range(50), *range(50)]
        assert data.test_images.path(0).parent.name == "val_images_256"
        assert data.class_names[7] == "thing 7"

    def test_a_broken_line_is_quoted(self, webvision, tmp_path):
        with (webvision / "info" / "val_filelist.txt").open("a") as file:
            file.write("\nval1.jpg")
        with pytest.raises(DataError, match=r"val_filelist.txt, line 51: 'val1.jpg' is not 'path target'"):
            load_dataset("webvision", tmp_path)
