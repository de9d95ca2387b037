"""Released draws against the golden values of the cards, computed on the canonical CIFAR labels."""

import pickle

import numpy as np
import pytest

from lnlbench.data.noise import corrupt, labels_sha256, read_human_labels, released_rmw, transition_matrix
from lnlbench.errors import DataError
from lnlbench.job import Noise

pytestmark = pytest.mark.filterwarnings("ignore::lnlbench.data.noise.NoiseWarning")


@pytest.fixture(scope="module")
def cifar10(cifar_dir):
    folder = cifar_dir / "cifar-10-batches-py"
    batches = [pickle.loads((folder / f"data_batch_{i}").read_bytes(), encoding="latin1") for i in range(1, 6)]
    return np.concatenate([b["labels"] for b in batches]).astype(np.int64)


@pytest.fixture(scope="module")
def cifar100(human_labels_dir):
    return read_human_labels(human_labels_dir / "CIFAR-100_human.pt")["clean"]


DIVIDEMIX = [
    (10, "symmetric", 0.2, 8_972, "21c621f01024a452"),
    (10, "symmetric", 0.5, 22_484, "31286055930a58ba"),
    (10, "symmetric", 0.8, 36_036, "e1ffb80cf81b701b"),
    (10, "symmetric", 0.9, 40_393, "9b9c93e57d0521ab"),
    (100, "symmetric", 0.2, 9_890, "e26c0fd0d74823fe"),
    (100, "symmetric", 0.5, 24_751, "5347e622a3d5f25b"),
    (100, "symmetric", 0.8, 39_611, "055940d68de13880"),
    (100, "symmetric", 0.9, 44_539, "84b309c192769f51"),
    (10, "asymmetric", 0.1, 2_500, "270be21112a26f65"),
    (10, "asymmetric", 0.2, 5_059, "4d709587ba98f993"),
    (10, "asymmetric", 0.3, 7_513, "d145e974912e568f"),
    (10, "asymmetric", 0.4, 10_010, "443e43d5e49dc454"),
]
COTEACHING = [
    (10, "symmetric-exclusive", 0.2, 10_038, "a690162d9e3a1472"),
    (10, "symmetric-exclusive", 0.5, 24_838, "2daa96c18b2822aa"),
    (100, "symmetric-exclusive", 0.2, 10_054, "c61e9ee74a27a764"),
    (100, "symmetric-exclusive", 0.5, 25_031, "c04c20fd6bdb67e6"),
    (10, "pairflip", 0.45, 22_400, "48b874cf1291e30c"),
    (100, "pairflip", 0.45, 22_449, "62662e02b235deab"),
]
# (C, name, rate, seeds, training: wrong, sha256, meta set at seed 1: wrong, sha256)
RMW = [
    (10, "uniform", 0.4, (1,), 17_641, "db79ac07b0548cc2", 357, "3b39085154249eb9"),
    (10, "uniform", 0.6, (1,), 26_483, "288ce1e5b3a49506", 538, "0da24ff5f2175154"),
    (10, "uniform", 0.7, (1,), 30_867, "3546fa8035749ca2", 625, "ec0d6cff8f567647"),
    (10, "flip2", 0.2, (1, 2, 5), 9_776, "25adc5e4d95ba232", 205, "e0cb48741eed1ca6"),
    (10, "flip2", 0.4, (1, 2, 5), 19_450, "b28eb57d67d34691", 412, "41f08ea7ea5b5448"),
    (10, "flip2", 0.5, (1,), 24_393, "41ca578146f0a3d9", 516, "f543cf2af5b2705b"),
    (10, "flip", 0.15, (1, 2, 5), 7_378, "ba703b04ea655ccb", 154, "7341c129a655f789"),
    (10, "flip", 0.3, (1, 2, 5), 14_790, "149858e5720f28af", 301, "8b0238cfc4277dcb"),
    (100, "uniform", 0.4, (1,), 19_540, "cfa302bfeecd6589", 403, "2ee03e478906199f"),
    (100, "uniform", 0.6, (1,), 29_211, "bda0cba4098760a3", 617, "e7a72f9e386bf39d"),
    (100, "uniform", 0.7, (1,), 34_027, "d52d2d0201140c86", 709, "19102a9484618e3a"),
    (100, "flip2", 0.2, (1,), 9_832, "08e567a20cf3b808", 183, "3b937e3e20034b7a"),
    (100, "flip2", 0.4, (1,), 19_539, "6f9243224b961761", 381, "efc612d7879442fc"),
    (100, "flip2", 0.5, (1,), 24_492, "85ab20772114189a", 498, "0475a51e9afb2c4a"),
    (100, "flip", 0.15, (1,), 7_333, "19cf6968c7783dea", 162, "2cf9f26d9a1dfc04"),
    (100, "flip", 0.3, (1,), 14_618, "36dfa3d59e9eaf33", 298, "43206aba1a99e905"),
]


@pytest.mark.parametrize(("num_classes", "name", "rate", "wrong", "digest"), [*DIVIDEMIX, *COTEACHING])
def test_released_draws_are_the_golden_ones(request, num_classes, name, rate, wrong, digest):
    dataset = f"cifar{num_classes}"
    labels = request.getfixturevalue(dataset)
    drawn = corrupt(Noise(name, rate=rate, draw="released"), labels, num_classes, 7, dataset=dataset)
    assert int((drawn != labels).sum()) == wrong
    assert labels_sha256(drawn)[:16] == digest


def test_first_labels_of_dividemix_50_percent(cifar10):
    drawn = corrupt(Noise("symmetric", rate=0.5, draw="released"), cifar10, 10, 1, dataset="cifar10")
    assert drawn[:8].tolist() == [8, 5, 9, 4, 1, 8, 3, 7]


@pytest.mark.parametrize(
    ("num_classes", "name", "rate", "seeds", "wrong", "digest", "meta_wrong", "meta_digest"),
    RMW,
)
def test_released_rmw_is_the_golden_one(
    request, num_classes, name, rate, seeds, wrong, digest, meta_wrong, meta_digest
):
    labels = request.getfixturevalue(f"cifar{num_classes}")
    matrix = transition_matrix(Noise(name, rate=rate), num_classes)
    for seed in seeds:
        drawn = released_rmw(labels, matrix, name, seed)
        assert len(drawn.noisy_labels) == 49_000
        assert int((drawn.noisy_labels != labels[drawn.train_indices]).sum()) == wrong
        assert labels_sha256(drawn.noisy_labels)[:16] == digest
    drawn = released_rmw(labels, matrix, name, 1)
    assert int((drawn.meta_noisy_labels != labels[drawn.meta_indices]).sum()) == meta_wrong
    assert labels_sha256(drawn.meta_noisy_labels)[:16] == meta_digest


def test_released_rmw_splits_as_the_code_does(cifar10, cifar100):
    ten = released_rmw(cifar10, np.eye(10), "uniform", 1)
    hundred = released_rmw(cifar100, np.eye(100), "uniform", 1)
    assert ten.train_indices[:3].tolist() == [31083, 16460, 9257]
    assert ten.meta_indices[:3].tolist() == [27777, 47651, 38321]
    assert hundred.train_indices[:3].tolist() == [33563, 17384, 13181]
    assert hundred.meta_indices[:3].tolist() == [32048, 34665, 5129]


SMALL = np.tile(np.arange(10), 300)


@pytest.mark.parametrize("name", ["uniform", "flip", "flip2"])
def test_released_rmw_labels_return_to_canonical_order(name):
    noise = Noise(name, rate=0.4, draw="released")
    drawn = released_rmw(SMALL, transition_matrix(noise, 10), name, 3)
    given = corrupt(noise, SMALL, 10, 3, dataset="mine")
    np.testing.assert_array_equal(given[drawn.train_indices], drawn.noisy_labels)
    np.testing.assert_array_equal(given[drawn.meta_indices], drawn.meta_noisy_labels)
    everything = np.concatenate([drawn.train_indices, drawn.meta_indices])
    np.testing.assert_array_equal(np.sort(everything), np.arange(len(SMALL)))
    assert np.bincount(SMALL[drawn.meta_indices]).tolist() == [100] * 10


def test_released_flip_labels_do_not_depend_on_the_seed_but_their_images_do():
    matrix = transition_matrix(Noise("flip", rate=0.3), 10)
    one, two = (released_rmw(SMALL, matrix, "flip", seed) for seed in (1, 2))
    np.testing.assert_array_equal(one.noisy_labels, two.noisy_labels)
    assert (one.train_indices != two.train_indices).any()


@pytest.mark.parametrize("name", ["symmetric", "asymmetric", "symmetric-exclusive", "pairflip"])
def test_fixed_seed_draws_ignore_the_seed(name):
    noise = Noise(name, rate=0.4, draw="released", map=((0, 1),) if name == "asymmetric" else None)
    one, two = (corrupt(noise, SMALL, 10, seed, dataset="mine") for seed in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_released_rmw_needs_enough_images_of_each_class():
    with pytest.raises(DataError, match="100 meta images of each class"):
        released_rmw(np.arange(500) % 10, np.eye(10), "uniform", 1)
