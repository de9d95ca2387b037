"""Label files: what is written is read back, and what does not fit is refused with its reason."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lnlbench.data.noise import (
    NoiseWarning,
    canonical_noise,
    corrupt,
    export_labels,
    import_labels,
    labels_sha256,
    measure,
    read_human_labels,
)
from lnlbench.errors import DataError
from lnlbench.job import Noise

CLEAN = np.random.default_rng(0).integers(0, 10, 2_000)
NOISE = Noise("symmetric", rate=0.5)
NOISY = corrupt(NOISE, CLEAN, 10, 1, dataset="digits")


def load(path, clean=CLEAN, num_classes=10, **more):
    return import_labels(path, clean, num_classes, dataset="digits", **more)


def write_json(path, content):
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("name", ["labels.json", "labels.npy", "labels.csv"])
def test_exported_labels_are_read_back(tmp_path, name):
    path = tmp_path / "new" / name
    meta_path = export_labels(path, NOISY, CLEAN, 10, noise=NOISE, seed=1, dataset="digits", fingerprint="f" * 64)
    labels, report = load(path)
    np.testing.assert_array_equal(labels, NOISY)
    assert labels.dtype == np.int64
    meta = json.loads(meta_path.read_text())
    assert meta_path.name == "labels.meta.json"
    assert (meta["noise"], meta["rate"], meta["seed"], meta["fingerprint"]) == ("symmetric", 0.5, 1, "f" * 64)
    assert meta["sha256"] == report.sha256 == labels_sha256(NOISY)
    assert meta["share"] == report.share == (NOISY != CLEAN).mean()
    assert meta["num_samples"] == 2_000
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([name, "labels.meta.json"])


def test_a_json_list_is_a_plain_list(tmp_path):
    path = tmp_path / "0.5_sym.json"
    export_labels(path, NOISY, CLEAN, 10, noise=NOISE, seed=1, dataset="digits", fingerprint="f")
    assert json.loads(path.read_text()) == NOISY.tolist()


def test_export_keeps_the_parameters_that_matter(tmp_path):
    noise = Noise("asymmetric", rate=0.4, map=((0, 1),), sampling="independent")
    meta_path = export_labels(
        tmp_path / "a.json", NOISY, CLEAN, 10, noise=noise, seed=2, dataset="digits", fingerprint="f"
    )
    meta = json.loads(meta_path.read_text())
    assert meta["sampling"] == "independent"
    assert meta["parameters"] == {"map": [[0, 1]]}


def test_export_refuses_other_endings(tmp_path):
    with pytest.raises(DataError, match=r"\.json, \.npy or \.csv"):
        export_labels(tmp_path / "a.pkl", NOISY, CLEAN, 10, noise=NOISE, seed=1, dataset="digits", fingerprint="f")
    assert list(tmp_path.iterdir()) == []


def test_ssr_dicts_are_read(tmp_path):
    content = {"noise_labels": NOISY.tolist(), "open_noise": [], "closed_noise": [1, 2]}
    labels, _ = load(write_json(tmp_path / "ssr.json", content))
    np.testing.assert_array_equal(labels, NOISY)
    content["open_noise"] = [[3, 17]]
    with pytest.raises(DataError, match="open-set"):
        load(write_json(tmp_path / "open.json", content))


def test_csv_lines_may_come_in_any_order(tmp_path):
    lines = [f"{i},{NOISY[i]}" for i in np.random.default_rng(1).permutation(len(NOISY))]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["index,label", *lines]))
    np.testing.assert_array_equal(load(path)[0], NOISY)


@pytest.mark.parametrize("integer", [np.uint8, np.int32])
def test_npy_of_any_integer_type_is_read(tmp_path, integer):
    np.save(tmp_path / "a.npy", NOISY.astype(integer))
    np.testing.assert_array_equal(load(tmp_path / "a.npy")[0], NOISY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels[:-1], "1,999 labels, digits has 2,000"),
        (lambda labels: [labels[0] + 0.0, *labels[1:]], "whole numbers"),
        (lambda labels: [True, *labels[1:]], "whole numbers"),
        (lambda labels: ["3", *labels[1:]], "whole numbers"),
        (lambda labels: [10**30, *labels[1:]], "whole numbers"),
        (lambda labels: [10, *labels[1:]], r"label 10 at index 0 is outside 0\.\.9"),
        (lambda labels: [-1, *labels[1:]], r"outside 0\.\.9"),
        (lambda labels: np.random.default_rng(3).permutation(labels).tolist(), "order"),
        (lambda labels: {"labels": labels}, "noise_labels"),
    ],
)
def test_a_list_that_does_not_fit_is_explained(tmp_path, change, message):
    path = write_json(tmp_path / "labels.json", change(NOISY.tolist()))
    with pytest.raises(DataError, match=message):
        load(path)


@pytest.mark.parametrize(("length", "message"), [(45_000, "PLC.*first 45,000"), (70_000, "RRL")])
def test_known_lengths_are_named(tmp_path, length, message):
    clean = np.arange(50_000) % 10
    path = write_json(tmp_path / "labels.json", np.resize(clean, length).tolist())
    with pytest.raises(DataError) as error:
        import_labels(path, clean, 10, dataset="cifar10")
    assert f"labels.json has {length:,} labels, cifar10 has 50,000." in str(error.value)
    assert message.split(".*")[0] in str(error.value)


def test_symmetric_90_percent_is_still_recognised_as_ordered(tmp_path):
    noisy = corrupt(Noise("symmetric", rate=0.9), CLEAN, 10, 1, dataset="digits")
    _, report = load(write_json(tmp_path / "labels.json", noisy.tolist()))
    assert report.share == pytest.approx(0.81, abs=0.04)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.jpg,1\n", "index,label"),
        ("", "index,label"),
        ("index,label\n0,1\n0,2\n", "once"),
        ("index,label\n0,1.0\n", "whole numbers"),
        ("index,label\n0,1,2\n", "3 fields"),
    ],
)
def test_a_bad_csv_is_explained(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load(path)


def test_bad_npy_files_are_explained(tmp_path):
    np.save(tmp_path / "float.npy", NOISY.astype(float))
    np.save(tmp_path / "pickled.npy", np.array({"worse_label": NOISY}), allow_pickle=True)
    np.save(tmp_path / "matrix.npy", NOISY.reshape(2, -1))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "cut.npy").write_bytes(b"PK\x03\x04cut")
    np.savez(tmp_path / "several.npz", NOISY)
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    for name, message in (
        ("float", "whole numbers"),
        ("pickled", "never loaded"),
        ("matrix", "one label per sample"),
        ("text", "not a plain array"),
        ("cut", "not a plain array"),
        ("several", "not a plain array"),
    ):
        with pytest.raises(DataError, match=message):
            load(tmp_path / f"{name}.npy")


def test_a_binary_csv_is_explained(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\xff\x00")
    with pytest.raises(DataError, match="not a text file"):
        load(tmp_path / "a.csv")


@pytest.mark.parametrize(("name", "message"), [("absent.json", "no noisy labels"), ("labels.xlsx", r"\.xlsx")])
def test_unreadable_paths_are_explained(tmp_path, name, message):
    if name == "labels.xlsx":
        (tmp_path / name).write_text("?")
    with pytest.raises(DataError, match=message):
        load(tmp_path / name)


def test_file_noise_reads_checks_and_pins_its_labels(tmp_path):
    path = write_json(tmp_path / "labels.json", NOISY.tolist())
    noise = canonical_noise(Noise("file", file=str(path)), "digits", 10)
    assert noise.file_sha256 == labels_sha256(NOISY)
    np.testing.assert_array_equal(corrupt(noise, CLEAN, 10, 1, dataset="digits"), NOISY)
    write_json(path, [int(CLEAN[0]), *NOISY.tolist()[1:-1], (int(NOISY[-1]) + 1) % 10])
    with pytest.raises(DataError, match="have changed"):
        corrupt(noise, CLEAN, 10, 1, dataset="digits")


def test_measure_counts_what_there_is():
    report = measure([0, 0, 1, 1], [0, 1, 1, 1], 3)
    assert (report.num_samples, report.wrong, report.share) == (4, 1, 0.25)
    np.testing.assert_array_equal(report.transition_matrix[:2], [[0.5, 0.5, 0], [0, 1, 0]])
    assert np.isnan(report.transition_matrix[2]).all()
    assert report.given_counts.tolist() == [1, 3, 0]
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["per_class_share"] == [0.5, 0.0, None]
    with pytest.raises(DataError, match="as many"):
        measure([0, 1], [0], 2)


# CIFAR-N -----------------------------------------------------------------------------------------------------------


class _Numpy1Name(pickle._Pickler):
    """Names numpy's reconstructor as the released files do."""

    def save_global(self, obj, name=None):
        if obj is np._core.multiarray._reconstruct:
            self.write(b"cnumpy.core.multiarray\n_reconstruct\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)


_Numpy1Name.dispatch = {**pickle._Pickler.dispatch, type(len): _Numpy1Name.save_global}


def write_pt(path, content):
    """A file in torch's zip format without tensors."""
    buffer = io.BytesIO()
    _Numpy1Name(buffer, protocol=2).dump(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        archive.writestr("archive/version", "3\n")
    return path


def ten_n(clean=CLEAN):
    names = ("clean_label", "aggre_label", "worse_label", "random_label1", "random_label2", "random_label3")
    return {name: (clean + i) % 10 for i, name in enumerate(names)}


@pytest.mark.filterwarnings("ignore::lnlbench.data.noise.NoiseWarning")
def test_human_labels_are_read_by_our_names(tmp_path):
    write_pt(tmp_path / "CIFAR-10_human.pt", ten_n())
    given = corrupt(Noise("human", variant="worst"), CLEAN, 10, 1, dataset="cifar10", data_dir=tmp_path)
    np.testing.assert_array_equal(given, (CLEAN + 2) % 10)
    assert given.dtype == np.int64
    labels, _ = load(tmp_path / "CIFAR-10_human.pt", variant="aggre")
    np.testing.assert_array_equal(labels, (CLEAN + 1) % 10)
    with pytest.raises(DataError, match="variant: aggre, worst"):
        load(tmp_path / "CIFAR-10_human.pt")


def test_a_file_that_is_not_the_released_one_is_said_so(tmp_path):
    with pytest.warns(NoiseWarning, match="sha256"):
        read_human_labels(write_pt(tmp_path / "CIFAR-10_human.pt", ten_n()))


@pytest.mark.filterwarnings("ignore::lnlbench.data.noise.NoiseWarning")
def test_human_labels_of_another_order_or_length_are_refused(tmp_path):
    write_pt(tmp_path / "CIFAR-10_human.pt", ten_n(CLEAN[::-1].copy()))
    noise = Noise("human", variant="aggre")
    with pytest.raises(DataError, match="order"):
        corrupt(noise, CLEAN, 10, 1, dataset="cifar10", data_dir=tmp_path)
    with pytest.raises(DataError, match="subset afterwards"):
        corrupt(noise, CLEAN[:100], 10, 1, dataset="cifar10", data_dir=tmp_path)


def test_missing_human_labels_are_explained(tmp_path):
    noise = Noise("human", variant="fine")
    with pytest.raises(DataError, match="no human labels at"):
        corrupt(noise, CLEAN, 100, 1, dataset="cifar100", data_dir=tmp_path)
    with pytest.raises(DataError, match="no data folder"):
        corrupt(noise, CLEAN, 100, 1, dataset="cifar100")


class Evil:
    def __reduce__(self):
        return os.putenv, ("LNLBENCH_EVIL", "1")


class ObjectsOverBytes:
    def __reduce__(self):
        return np.ndarray, ((5,), np.dtype("O"), b"A" * 40)


@pytest.mark.parametrize("evil", [Evil(), ObjectsOverBytes()])
def test_pickled_code_in_a_label_file_is_refused(tmp_path, evil):
    path = write_pt(tmp_path / "CIFAR-10_human.pt", {**ten_n(), "clean_label": evil})
    with pytest.raises(DataError, match=r"(?s)(refuses to load|cannot be read).*download the released file"):
        read_human_labels(path)


def test_damaged_and_foreign_label_files_are_refused(tmp_path):
    damaged = tmp_path / "CIFAR-10_human.pt"
    damaged.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DataError, match="download the released file"):
        read_human_labels(damaged)
    with pytest.raises(DataError, match="not the arrays"):
        read_human_labels(write_pt(tmp_path / "other.pt", {"labels": CLEAN}))
    wrong_type = {**ten_n(), "worse_label": [0.5, 1.5]}
    with pytest.raises(DataError, match="integers"), pytest.warns(NoiseWarning):
        read_human_labels(write_pt(tmp_path / "float.pt", wrong_type))


@pytest.mark.parametrize("read", [read_human_labels, load])
def test_tensorflow_order_is_refused(read):
    with pytest.raises(DataError, match=r"TensorFlow's image order; use CIFAR-10_human\.pt"):
        read(Path("CIFAR-10_human_ordered.npy"))


def test_released_human_labels_have_the_measured_shares(human_labels_dir):
    ten = read_human_labels(human_labels_dir / "CIFAR-10_human.pt")
    wrong = {name: int((labels != ten["clean"]).sum()) for name, labels in ten.items() if name != "clean"}
    assert wrong == {"aggre": 4_505, "worst": 20_104, "random1": 8_617, "random2": 9_061, "random3": 8_820}
    diagonal = measure(ten["clean"], ten["worst"], 10).transition_matrix.diagonal()
    expected = [0.650, 0.592, 0.632, 0.487, 0.488, 0.580, 0.594, 0.722, 0.683, 0.551]
    np.testing.assert_allclose(diagonal, expected, atol=5.1e-4)
    assert ten["clean"][:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]


def test_released_fine_labels(human_labels_dir):
    hundred = read_human_labels(human_labels_dir / "CIFAR-100_human.pt")
    given = corrupt(
        Noise("human", variant="fine"), hundred["clean"], 100, 1, dataset="cifar100", data_dir=human_labels_dir
    )
    assert int((given != hundred["clean"]).sum()) == 20_100
    assert int((hundred["coarse"] != hundred["clean_coarse"]).sum()) == 13_202
    assert hundred["clean"][:10].tolist() == [19, 29, 0, 11, 1, 86, 90, 28, 23, 31]


def test_the_package_imports_no_torch():
    code = "import sys, lnlbench.data.noise; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
