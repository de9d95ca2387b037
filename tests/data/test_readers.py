"""The readers: what they deliver, what they mark, and what they refuse with which words."""

from __future__ import annotations

import dataclasses
import itertools
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import synthetic_cifar as small

from lnlbench.data import checksums as checksums_module
from lnlbench.data import digits
from lnlbench.data.catalogue import (
    DATASETS,
    LABEL_FILES,
    dataset_info,
    default_data_dir,
    entry,
    normalisation,
)
from lnlbench.data.checksums import MEMORY, Checksums
from lnlbench.data.load import load_dataset, reduce, resize, subset_indices
from lnlbench.errors import DataError, InvalidSetting, UnknownName

GOLDEN_SUBSET = [5, 11, 12, 16, 18, 29, 38, 39]


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """A folder with a small canonical CIFAR-10, unpacked, and its members."""
    members = small.cifar10_members()
    small.declare_canonical(monkeypatch, "cifar10", members)
    return tmp_path, small.write(tmp_path, "cifar10", members), members


class TestCatalogue:
    def test_unknown_data_set_names_the_nearest_and_the_command(self):
        with pytest.raises(UnknownName, match=r"(?s)'cifr10'.*'cifar10'.*lnlbench list datasets"):
            dataset_info("cifr10")

    def test_label_files_are_entries_but_not_data_sets(self):
        assert entry("cifar10n").dataset == "cifar10"
        assert "CC BY-NC 4.0" in LABEL_FILES["cifar100n"].terms
        with pytest.raises(UnknownName):
            dataset_info("cifar10n")

    def test_data_dir_is_the_environment_s_if_set(self, monkeypatch, tmp_path):
        monkeypatch.setenv("LNLBENCH_DATA", str(tmp_path))
        assert default_data_dir() == tmp_path
        monkeypatch.setenv("LNLBENCH_DATA", "")
        assert default_data_dir().name == "lnlbench"

    def test_mwnet_normalises_cifar100_with_cifar10_s_constants(self):
        assert normalisation("cifar100", "mwnet") == normalisation("cifar10", "mwnet")
        assert normalisation("cifar10", "mwnet")[0] == pytest.approx((0.4914, 0.4824, 0.4467), abs=5e-5)

    def test_dataset_constants_are_dividemix_s(self):
        assert normalisation("cifar10") == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
        assert normalisation("cifar100") == ((0.507, 0.487, 0.441), (0.267, 0.256, 0.276))

    @pytest.mark.parametrize("name", DATASETS)
    def test_none_leaves_pixels_in_zero_to_one(self, name):
        assert normalisation(name, "none") == ((0, 0, 0), (1, 1, 1))

    def test_unknown_normalisation_lists_the_choices(self):
        with pytest.raises(UnknownName, match="dataset, mwnet, none, whole"):
            normalisation("cifar10", "imagenet")

    def test_importing_it_imports_no_numpy(self):
        code = "import sys, lnlbench.data.catalogue; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    def test_availability_follows_the_files(self, cifar10, tmp_path):
        data_dir, folder, _ = cifar10
        assert dataset_info("cifar10").available(data_dir)
        (folder / "data_batch_4").unlink()
        assert not dataset_info("cifar10").available(data_dir)
        assert dataset_info("digits").available(tmp_path / "nowhere")


class TestDigits:
    def test_split_is_ours_and_canonical(self):
        data = load_dataset("digits")
        assert data.canonical
        assert data.note == ""
        assert data.train_images.shape == (1437, 3, 8, 8)
        assert data.test_images.shape == (360, 3, 8, 8)
        assert data.train_images.dtype == np.uint8
        assert data.train_labels.dtype == np.int64

    def test_split_is_stratified(self):
        data = load_dataset("digits")
        whole = np.array([178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
        test = np.bincount(data.test_labels)
        assert np.array_equal(np.bincount(data.train_labels) + test, whole)
        assert np.abs(test - whole * 360 / 1797).max() < 1

    def test_values_fill_the_byte_and_channels_are_equal(self):
        train = load_dataset("digits").train_images
        assert set(np.unique(train)) == {round(v * 255 / 16) for v in range(17)}
        assert np.array_equal(train[:, 0], train[:, 2])

    def test_normalisation_constants_are_those_of_the_training_images(self):
        pixels = load_dataset("digits").train_images / 255
        mean, std = normalisation("digits")
        assert mean == pytest.approx([pixels.mean()] * 3, abs=1e-4)
        assert std == pytest.approx([pixels.std()] * 3, abs=1e-4)

    def test_altered_digits_are_marked(self, monkeypatch):
        from sklearn import datasets

        bundle = datasets.load_digits()
        bundle.images[0, 0, 0] += 1
        monkeypatch.setattr(datasets, "load_digits", lambda: bundle)
        data = digits.read(DATASETS["digits"], Path(), Checksums(Path()))
        assert not data.canonical
        assert "differ" in data.note


class TestCifarContent:
    def test_pixels_and_order_are_those_of_the_batches(self, cifar10):
        data = load_dataset("cifar10", cifar10[0])
        assert data.train_images.shape == (5 * small.SIZE, 3, 32, 32)
        assert np.array_equal(data.train_images[small.SIZE], small.images(2)[0].reshape(3, 32, 32))
        assert np.array_equal(data.test_images.reshape(small.SIZE, -1), small.images(6))
        assert data.train_labels[: small.SIZE].tolist() == small.labels(1, 10)
        assert data.class_names[3] == "cat"
        assert data.canonical
        assert data.note == ""

    @pytest.mark.parametrize("protocol", [2, 3, 4])
    def test_batches_rewritten_by_python_3_are_read(self, cifar10, protocol):
        data_dir, folder, _ = cifar10
        before = load_dataset("cifar10", data_dir)
        batch = {"data": small.images(3), "labels": small.labels(3, 10), "filenames": ["a"]}
        (folder / "data_batch_3").write_bytes(pickle.dumps(batch, protocol=protocol))
        after = load_dataset("cifar10", data_dir)
        assert np.array_equal(before.train_images, after.train_images)
        assert before.fingerprint == after.fingerprint
        assert not after.canonical

    def test_the_archive_alone_gives_the_same_data(self, cifar10, tmp_path, monkeypatch):
        data_dir, _, members = cifar10
        other = tmp_path / "archive only"
        other.mkdir()
        (other / "cifar-10-python.tar.gz").write_bytes(small.declare_canonical(monkeypatch, "cifar10", members))
        packed, unpacked = load_dataset("cifar10", other), load_dataset("cifar10", data_dir)
        assert packed.canonical
        assert packed.fingerprint == unpacked.fingerprint
        assert np.array_equal(packed.train_images, unpacked.train_images)

    def test_cifar100_has_superclasses_by_class(self, tmp_path, monkeypatch):
        members = small.cifar100_members()
        small.declare_canonical(monkeypatch, "cifar100", members)
        small.write(tmp_path, "cifar100", members)
        data = load_dataset("cifar100", tmp_path)
        assert data.num_classes == 100
        assert data.coarse is not None
        assert np.bincount(data.coarse).tolist() == [5] * 20
        assert data.canonical

    def test_arrays_can_be_written(self, cifar10):
        data = load_dataset("cifar10", cifar10[0])
        assert data.train_images.flags.writeable
        assert data.test_images.flags.writeable


class TestCifarMessages:
    def test_nothing_there(self, tmp_path):
        with pytest.raises(DataError) as error:
            load_dataset("cifar10", tmp_path)
        assert str(error.value) == (
            f"cifar10: no data under {tmp_path}. Expected {tmp_path}/cifar-10-batches-py/ or "
            f"cifar-10-python.tar.gz.\nRun: lnlbench data download cifar10 --to {tmp_path}"
        )

    def test_some_batches_missing(self, cifar10):
        (cifar10[1] / "data_batch_2").unlink()
        (cifar10[1] / "test_batch").unlink()
        with pytest.raises(DataError, match="lacks data_batch_2, test_batch"):
            load_dataset("cifar10", cifar10[0])

    def test_archive_with_wrong_md5(self, tmp_path, monkeypatch):
        archive = small.declare_canonical(monkeypatch, "cifar10", small.cifar10_members())
        (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive[:-1000])
        expected = rf"md5 is \w+, expected \w+ \({len(archive) - 1000:,} of {len(archive):,} bytes\)"
        with pytest.raises(DataError, match=rf"(?s){expected}.*incomplete or altered: delete it and download again"):
            load_dataset("cifar10", tmp_path)

    def test_archive_without_a_member(self, tmp_path, monkeypatch):
        members = small.cifar10_members()
        small.declare_canonical(monkeypatch, "cifar10", members)
        members["data_batch_one"] = members.pop("data_batch_1")
        archive = small.packed("cifar-10-batches-py", members)
        (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive)
        _expect_archive(monkeypatch, archive)
        with pytest.raises(DataError, match="lacks data_batch_1"):
            load_dataset("cifar10", tmp_path)

    def test_flipped_byte_marks_the_data_modified(self, cifar10):
        data_dir, folder, members = cifar10
        canonical = load_dataset("cifar10", data_dir)
        content = bytearray(members["data_batch_3"])
        content[2000] ^= 1
        (folder / "data_batch_3").write_bytes(content)
        data = load_dataset("cifar10", data_dir)
        assert not data.canonical
        assert data.note == (
            "cifar10: not the canonical archive (data_batch_3 differs). Labels are canonical. "
            "Results will be marked 'cifar10 (modified)'."
        )
        assert data.fingerprint != canonical.fingerprint

    def test_changed_labels_are_an_error_with_their_number(self, cifar10):
        data_dir, folder, _ = cifar10
        numbers = small.labels(2, 10)
        changed = [0 if n == 1 else n for n in numbers]
        (folder / "data_batch_2").write_bytes(small.python2_batch(small.images(2), changed))
        least = numbers.count(1)
        assert least
        with pytest.raises(DataError, match=rf"(?s)at least {least} of 150 differ, in data_batch_2\).*PENCIL"):
            load_dataset("cifar10", data_dir)

    def test_permuted_labels_with_the_right_counts_are_an_error(self, cifar10):
        data_dir, folder, _ = cifar10
        (folder / "test_batch").write_bytes(small.python2_batch(small.images(6), small.labels(6, 10)[::-1]))
        with pytest.raises(DataError, match="test labels are not the canonical ones"):
            load_dataset("cifar10", data_dir)

    def test_swapped_batches_are_named(self, cifar10):
        data_dir, folder, members = cifar10
        (folder / "data_batch_1").write_bytes(members["data_batch_2"])
        (folder / "data_batch_2").write_bytes(members["data_batch_1"])
        with pytest.raises(DataError, match="data_batch_1 holds data_batch_2, data_batch_2 holds data_batch_1"):
            load_dataset("cifar10", data_dir)

    def test_truncated_batch(self, cifar10):
        data_dir, folder, members = cifar10
        (folder / "data_batch_5").write_bytes(members["data_batch_5"][:5000])
        with pytest.raises(DataError, match=r"(?s)data_batch_5: cannot be read \(5,000 bytes\).*extract the archive"):
            load_dataset("cifar10", data_dir)

    @pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x02]q\x00.", b"<html>404</html>"])
    def test_file_that_is_no_batch(self, cifar10, content):
        (cifar10[1] / "data_batch_1").write_bytes(content)
        with pytest.raises(DataError, match="data_batch_1: cannot be read"):
            load_dataset("cifar10", cifar10[0])

    def test_batch_of_another_length(self, cifar10):
        short = small.python2_batch(small.images(1, 20), small.labels(1, 10, 20))
        (cifar10[1] / "data_batch_1").write_bytes(short)
        with pytest.raises(DataError, match="20 images and 20 labels, expected 30 of each"):
            load_dataset("cifar10", cifar10[0])

    def test_label_outside_the_classes(self, cifar10):
        numbers = [10, *small.labels(1, 10)[1:]]
        (cifar10[1] / "data_batch_1").write_bytes(small.python2_batch(small.images(1), numbers))
        with pytest.raises(DataError, match="to 10, expected 0 to 9"):
            load_dataset("cifar10", cifar10[0])

    @pytest.mark.parametrize("batch", [{"labels": [1]}, {"data": [1], "labels": [1]}, {"data": small.images(1)}])
    def test_batch_without_images_or_labels(self, cifar10, batch):
        (cifar10[1] / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
        with pytest.raises(DataError, match=r"data_batch_1: 'data' is not|data_batch_1: 'labels' is not"):
            load_dataset("cifar10", cifar10[0])

    def test_other_class_names(self, cifar10):
        (cifar10[1] / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
        with pytest.raises(DataError, match="class names are not those of cifar10"):
            load_dataset("cifar10", cifar10[0])

    def test_cifar100_test_labels_are_held_to_their_class_counts(self, tmp_path, monkeypatch):
        members = small.cifar100_members()
        small.declare_canonical(monkeypatch, "cifar100", members)
        folder = small.write(tmp_path, "cifar100", members)
        batch = pickle.loads(members["test"])
        batch[b"fine_labels"][0], batch[b"coarse_labels"][0] = batch[b"fine_labels"][1], batch[b"coarse_labels"][1]
        (folder / "test").write_bytes(pickle.dumps(batch, protocol=2))
        with pytest.raises(DataError, match=r"test labels are not the canonical ones \(at least 1 of 30 differ"):
            load_dataset("cifar100", tmp_path)

    def test_coarse_labels_that_do_not_belong(self, tmp_path, monkeypatch):
        members = small.cifar100_members()
        small.declare_canonical(monkeypatch, "cifar100", members)
        folder = small.write(tmp_path, "cifar100", members)
        batch = pickle.loads(members["train"])
        batch[b"coarse_labels"][0] = (batch[b"coarse_labels"][0] + 1) % 20
        (folder / "train").write_bytes(pickle.dumps(batch, protocol=2))
        with pytest.raises(DataError, match="coarse labels in train do not belong"):
            load_dataset("cifar100", tmp_path)


class _Bomb:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class TestUnsafePickles:
    def test_shell_command_does_not_run(self, cifar10, tmp_path):
        marker = tmp_path / "ran"
        bomb = pickle.dumps({"data": _Bomb(os.system, f"touch {marker}"), "labels": []}, protocol=2)
        (cifar10[1] / "data_batch_1").write_bytes(bomb)
        with pytest.raises(
            DataError,
            match=r"data_batch_1: refuses to load: it contains posix\.system, which image batches never need",
        ):
            load_dataset("cifar10", cifar10[0])
        assert not marker.exists()

    @pytest.mark.parametrize("protocol", [0, 2, 4])
    @pytest.mark.parametrize("function", [eval, getattr, np.load, np.fromfile, pickle.loads])
    def test_other_globals_are_refused_in_every_protocol(self, cifar10, function, protocol):
        (cifar10[1] / "batches.meta").write_bytes(pickle.dumps(_Bomb(function, "1"), protocol=protocol))
        with pytest.raises(DataError, match=r"batches\.meta: refuses to load"):
            load_dataset("cifar10", cifar10[0])

    def test_object_array_over_bytes_is_refused(self, cifar10):
        # numpy itself takes the bytes for pointers here and crashes the process.
        bomb = b"\x80\x02cnumpy\nndarray\nK\x01\x85cnumpy\ndtype\nU\x01O\x85RU\x08AAAAAAAA\x87R."
        (cifar10[1] / "data_batch_1").write_bytes(bomb)
        with pytest.raises(DataError, match="data_batch_1: cannot be read"):
            load_dataset("cifar10", cifar10[0])

    def test_object_dtype_in_an_array_is_refused(self, cifar10):
        batch = small.python2_batch(small.images(1), small.labels(1, 10)).replace(b"U\x02u1", b"U\x02O8")
        (cifar10[1] / "data_batch_1").write_bytes(batch)
        with pytest.raises(DataError, match=r"data_batch_1: cannot be read.*malformed"):
            load_dataset("cifar10", cifar10[0])

    def test_codec_other_than_latin1_is_refused(self, cifar10):
        bomb = b"\x80\x02c_codecs\nencode\nU\x01xU\x04zlib\x86R."
        (cifar10[1] / "data_batch_1").write_bytes(bomb)
        with pytest.raises(DataError, match=r"data_batch_1: cannot be read.*bytes in encoding"):
            load_dataset("cifar10", cifar10[0])


class TestMemory:
    def test_second_load_hashes_nothing(self, cifar10, monkeypatch):
        first = load_dataset("cifar10", cifar10[0])
        assert (cifar10[0] / MEMORY).is_file()

        def forbidden(*_: object, **__: object) -> None:
            raise AssertionError("hashed again")

        monkeypatch.setattr(checksums_module.hashlib, "md5", forbidden)
        monkeypatch.setattr("lnlbench.data.cifar.fingerprint", forbidden)
        second = load_dataset("cifar10", cifar10[0])
        assert second.fingerprint == first.fingerprint
        assert second.canonical

    def test_changed_file_is_hashed_again(self, cifar10):
        data_dir, folder, members = cifar10
        load_dataset("cifar10", data_dir)
        content = bytearray(members["data_batch_1"])
        content[2000] ^= 1
        (folder / "data_batch_1").write_bytes(content)
        os.utime(folder / "data_batch_1", ns=(1, 1))
        assert not load_dataset("cifar10", data_dir).canonical

    @pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 1, "files": [], "fingerprints": {}}'])
    def test_broken_memory_is_forgotten(self, cifar10, text):
        (cifar10[0] / MEMORY).write_text(text)
        assert load_dataset("cifar10", cifar10[0]).canonical

    def test_folder_that_cannot_be_written_is_read_all_the_same(self, cifar10, monkeypatch):
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(checksums_module.os, "replace", refuse)
        assert load_dataset("cifar10", cifar10[0]).canonical
        assert [path.name for path in cifar10[0].iterdir()] == ["cifar-10-batches-py"]


class TestSubsets:
    labels = np.random.default_rng(0).integers(0, 10, 5000)

    def test_classes_are_balanced(self):
        kept = subset_indices(self.labels, 1000, "cifar10")
        assert np.bincount(self.labels[kept]).tolist() == [100] * 10

    def test_smaller_subset_lies_in_every_larger(self):
        sets = [set(subset_indices(self.labels, count, "cifar10").tolist()) for count in (7, 100, 999, 4000, 5000)]
        assert all(a < b for a, b in itertools.pairwise(sets))

    def test_counts_differ_by_one_at_most_where_they_cannot_be_equal(self):
        counts = np.bincount(self.labels[subset_indices(self.labels, 237, "cifar10")])
        assert counts.max() - counts.min() == 1

    def test_rare_class_is_kept_whole(self):
        labels = np.array([0] * 90 + [1] * 10)
        kept = subset_indices(labels, 40, "cifar10")
        assert np.bincount(labels[kept]).tolist() == [30, 10]

    def test_positions_are_fixed_for_good(self):
        labels = np.arange(40) % 4
        assert subset_indices(labels, 8, "cifar10").tolist() == GOLDEN_SUBSET
        assert subset_indices(labels, 8, "cifar100").tolist() != GOLDEN_SUBSET
        assert subset_indices(labels, 8, "cifar10", "test").tolist() != GOLDEN_SUBSET

    def test_indices_ascend(self):
        assert (np.diff(subset_indices(self.labels, 500, "digits")) > 0).all()

    @pytest.mark.parametrize("count", [0, 5001])
    def test_count_out_of_range_is_named(self, count):
        with pytest.raises(InvalidSetting, match=rf"train_subset: {count:,} is out of range.*5,000"):
            subset_indices(self.labels, count, "cifar10")

    def test_reduce_keeps_the_fingerprint_of_the_full_set(self):
        full = load_dataset("digits")
        kept = subset_indices(full.train_labels, 200, "digits")
        part = reduce(full, kept)
        assert part.fingerprint == full.fingerprint
        assert np.array_equal(part.train_images, full.train_images[kept])
        assert np.array_equal(part.train_labels, full.train_labels[kept])
        assert len(part.test_labels) == 360


class TestResize:
    def test_load_resizes_both_splits_and_keeps_the_fingerprint(self):
        data, plain = load_dataset("digits", image_size=16), load_dataset("digits")
        assert data.train_images.shape == (1437, 3, 16, 16)
        assert data.test_images.shape == (360, 3, 16, 16)
        assert data.train_images.dtype == np.uint8
        assert data.fingerprint == plain.fingerprint

    @pytest.mark.parametrize("side", [16, 4])
    def test_agrees_with_pil(self, side):
        image_module = pytest.importorskip("PIL.Image")
        images = load_dataset("digits").train_images[:20]
        ours = resize(images, side)
        for image, got in zip(images, ours, strict=True):
            pil = image_module.fromarray(image.transpose(1, 2, 0)).resize((side, side), image_module.BILINEAR)
            assert np.abs(np.asarray(pil).transpose(2, 0, 1).astype(int) - got).max() <= 1

    def test_same_size_is_left_alone(self):
        images = load_dataset("digits").test_images
        assert resize(images, 8) is images

    def test_no_size_is_refused(self):
        with pytest.raises(InvalidSetting, match="image_size"):
            load_dataset("digits", image_size=0)


@pytest.mark.cifar
class TestRealCifar:
    def test_labels_and_order_are_canonical_and_other_pixels_are_marked(self, cifar_dir):
        data = load_dataset("cifar10", cifar_dir)
        assert data.train_images.shape == (50000, 3, 32, 32)
        assert np.bincount(data.train_labels).tolist() == [5000] * 10
        assert np.bincount(data.test_labels).tolist() == [1000] * 10
        assert data.train_labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
        assert data.test_labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
        assert data.canonical or "Results will be marked 'cifar10 (modified)'." in data.note
        whole, _ = normalisation("cifar10", "whole")
        assert data.train_images[:5000].mean(axis=(0, 2, 3)) / 255 == pytest.approx(whole, abs=0.01)


def _expect_archive(monkeypatch, archive):
    info = DATASETS["cifar10"]
    changed = dataclasses.replace(info.archive, md5=small.md5(archive))
    monkeypatch.setitem(DATASETS, "cifar10", dataclasses.replace(info, archive=changed))
