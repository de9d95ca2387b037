"""`corrupt`: what is drawn, how often, and that it depends on nothing but its arguments."""

import re
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnlbench.data.noise import NoiseWarning, canonical_noise, corrupt, labels_sha256, measure, share, transition_matrix
from lnlbench.data.noise.targets import CIFAR100_COARSE
from lnlbench.errors import DataError, InvalidSetting, UnknownName
from lnlbench.job import Noise

TEN = np.arange(5_000) % 10
HUNDRED = np.arange(20_000) % 100
RATED = (
    *("symmetric", "uniform", "symmetric-exclusive", "flip", "flip2", "asymmetric", "pairflip", "tridiagonal"),
    *("superclass-next", "block-next", "hierarchical", "instance"),
)
CLASS_CONDITIONAL = RATED[:-1]
SUPERCLASS = ("superclass-next", "block-next", "hierarchical")
IMAGES = np.random.default_rng(5).integers(0, 256, (5_000, 3, 4, 4), dtype=np.uint8)

pytestmark = pytest.mark.filterwarnings("ignore::lnlbench.data.noise.NoiseWarning")


def setting_for(name):
    """(labels, C, dataset) on which a noise can be drawn."""
    return (HUNDRED, 100, "cifar100") if name in SUPERCLASS else (TEN, 10, "cifar10")


def draw(name, seed=1, **parameters):
    labels, num_classes, dataset = setting_for(name)
    images = IMAGES if name == "instance" else None
    return labels, corrupt(Noise(name, **parameters), labels, num_classes, seed, dataset=dataset, images=images)


@pytest.mark.parametrize("name", RATED)
def test_rate_zero_returns_the_clean_labels_in_a_new_array(name):
    labels, given_labels = draw(name, rate=0.0)
    np.testing.assert_array_equal(given_labels, labels)
    assert given_labels is not labels
    assert given_labels.dtype == np.int64


@pytest.mark.parametrize("name", RATED)
def test_output_is_int64_in_range_and_the_input_is_untouched(name):
    labels, _, _ = setting_for(name)
    before = labels.copy()
    _, given_labels = draw(name, rate=0.4)
    assert given_labels.dtype == np.int64
    assert given_labels.shape == labels.shape
    assert given_labels.min() >= 0
    assert given_labels.max() <= labels.max()
    assert (given_labels != labels).any()
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_labels_of_other_integer_types_give_the_same_noise(dtype):
    noise = Noise("symmetric", rate=0.5)
    given_labels = corrupt(noise, TEN.astype(dtype), 10, 3, dataset="cifar10")
    assert given_labels.dtype == np.int64
    np.testing.assert_array_equal(given_labels, corrupt(noise, TEN, 10, 3, dataset="cifar10"))


@pytest.mark.parametrize("name", RATED)
def test_the_seed_alone_decides(name):
    _, first = draw(name, seed=1, rate=0.4)
    np.random.seed(99)  # noqa: NPY002
    np.random.default_rng(0).random(7)
    _, again = draw(name, seed=1, rate=0.4)
    _, other = draw(name, seed=2, rate=0.4)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_another_process_draws_the_same():
    code = (
        "import numpy as np\n"
        "from lnlbench.data.noise import corrupt, labels_sha256\n"
        "from lnlbench.job import Noise\n"
        "print(labels_sha256(corrupt(Noise('flip2', rate=0.4), np.arange(5000) % 10, 10, 1, dataset='cifar10')))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == labels_sha256(draw("flip2", rate=0.4)[1])


def documented_generator(name, seed):
    entropy = np.random.SeedSequence([seed, zlib.crc32(name.encode())])
    return np.random.Generator(np.random.PCG64(entropy))


def test_independent_is_one_uniform_per_sample_against_the_cumulative_row():
    matrix = transition_matrix(Noise("symmetric-exclusive", rate=0.4), 10)
    uniforms = documented_generator("symmetric-exclusive", 6).random(len(TEN))
    expected = [(np.append(np.cumsum(matrix[y])[:-1], 1.0) <= u).sum() for y, u in zip(TEN, uniforms, strict=True)]
    assert draw("symmetric-exclusive", seed=6, rate=0.4)[1].tolist() == expected


def test_exact_is_one_permutation_and_one_uniform_per_index():
    generator = documented_generator("symmetric", 6)
    chosen = generator.permutation(len(TEN))[:2_000]
    uniforms = generator.random(len(TEN))
    expected = TEN.copy()
    expected[chosen] = np.floor(uniforms[chosen] * 10)
    np.testing.assert_array_equal(draw("symmetric", seed=6, rate=0.4)[1], expected)


def test_our_draws_do_not_change_between_versions():
    hashes = {
        "symmetric": "744abf3d91d13623",
        "symmetric-exclusive": "1be727351312f0e5",
        "instance": "419a9d7216f25bad",
    }
    for name, start in hashes.items():
        assert labels_sha256(draw(name, rate=0.4)[1])[:16] == start, name
    per_class = draw("symmetric", rate=0.4, sampling="exact-per-class")[1]
    assert labels_sha256(per_class)[:16] == "0c9ec03c36659908"


@given(rate=st.floats(0, 1), size=st.integers(1, 400), seed=st.integers(0, 2**40))
def test_exact_changes_at_most_the_counted_samples(rate, size, seed):
    labels = np.arange(size) % 10
    given_labels = corrupt(Noise("symmetric", rate=rate), labels, 10, seed, dataset="cifar10")
    assert (given_labels != labels).sum() <= int(np.floor(rate * size + 1e-9))


@pytest.mark.parametrize("rate", [0.29, 0.57, 0.58])
def test_exact_loses_no_sample_to_rounding(rate):
    labels = np.zeros(50_000, dtype=np.int64)
    noise = Noise("asymmetric", rate=rate, map=((0, 1),))
    assert (corrupt(noise, labels, 2, 1, dataset="mine") != labels).sum() == round(rate * 50_000)


@given(low=st.floats(0, 1), high=st.floats(0, 1), seed=st.integers(0, 1000), name=st.sampled_from(CLASS_CONDITIONAL))
@settings(max_examples=60)
@pytest.mark.parametrize("sampling", ["exact", "exact-per-class", "independent"])
def test_a_lower_rate_changes_a_subset_of_the_samples(sampling, low, high, seed, name):
    low, high = sorted((low, high))
    labels, few = draw(name, seed=seed, rate=low, sampling=sampling)
    _, many = draw(name, seed=seed, rate=high, sampling=sampling)
    assert not ((few != labels) & (many == labels)).any()
    if sampling != "independent":
        changed = few != labels
        np.testing.assert_array_equal(few[changed], many[changed])


def test_exact_per_class_takes_the_same_count_from_each_class():
    labels = np.repeat([0, 1, 2], [100, 37, 9])
    noise = Noise("pairflip", rate=0.3, sampling="exact-per-class")
    wrong = corrupt(noise, labels, 3, 1, dataset="mine") != labels
    assert [int(wrong[labels == c].sum()) for c in range(3)] == [30, 11, 2]


def test_asymmetric_follows_the_map_and_leaves_fixed_classes():
    labels, given_labels = draw("asymmetric", rate=0.4)
    changed = given_labels != labels
    targets = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
    assert set(labels[changed].tolist()) == set(targets)
    assert all(targets[y] == g for y, g in zip(labels[changed].tolist(), given_labels[changed].tolist(), strict=True))


def test_cats_and_dogs_are_wrong_equally_often_without_double_flip():
    labels, given_labels = draw("asymmetric", rate=0.4, sampling="exact-per-class")
    wrong = given_labels != labels
    assert wrong[labels == 3].sum() == wrong[labels == 5].sum() == 200


def test_double_flip_sends_some_cats_home():
    labels, given_labels = draw("asymmetric", rate=0.4, double_flip=True)
    report = measure(labels, given_labels, 10)
    assert report.per_class_share[3] == pytest.approx(0.24, abs=0.03)
    assert report.per_class_share[5] == pytest.approx(0.4, abs=0.03)
    assert report.per_class_share[9] == pytest.approx(0.4)


@pytest.mark.parametrize("name", CLASS_CONDITIONAL)
@pytest.mark.parametrize("sampling", ["exact", "exact-per-class", "independent"])
def test_frequencies_follow_the_matrix(name, sampling):
    _, num_classes, dataset = setting_for(name)
    labels = np.arange(50_000) % num_classes
    noise = Noise(name, rate=0.4, sampling=sampling)
    report = measure(labels, corrupt(noise, labels, num_classes, 7, dataset=dataset), num_classes)
    matrix = transition_matrix(noise, num_classes, dataset)
    expected = share(noise, np.ones(num_classes), dataset)
    assert abs(report.wrong - 50_000 * expected) < 5 * np.sqrt(50_000 * expected * (1 - expected))
    per_class = 50_000 // num_classes
    deviation = np.abs(report.transition_matrix - matrix)
    assert (deviation <= 5 * np.sqrt(matrix * (1 - matrix) / per_class) + 1.5 / per_class).all()
    assert (report.transition_matrix[matrix == 0] == 0).all()


def test_frequencies_pass_a_chi_square_test():
    labels = np.zeros(100_000, dtype=np.int64)
    counts = np.bincount(corrupt(Noise("uniform", rate=0.6), labels, 10, 11, dataset="cifar10"), minlength=10)
    expected = 100_000 * transition_matrix(Noise("uniform", rate=0.6), 10)[0]
    assert ((counts - expected) ** 2 / expected).sum() < 33.7  # 99.99 % point, 9 degrees of freedom


@pytest.mark.parametrize("name", ["superclass-next", "hierarchical"])
def test_superclass_noises_keep_the_superclass(name):
    labels, given_labels = draw(name, rate=0.5)
    coarse = np.array(CIFAR100_COARSE)
    np.testing.assert_array_equal(coarse[labels], coarse[given_labels])


def test_matrix_noise_draws_from_its_rows():
    noise = Noise("matrix", matrix=((0.8, 0.2, 0.0), (0.0, 1.0, 0.0), (0.5, 0.0, 0.5)))
    labels = np.arange(30_000) % 3
    given_labels = corrupt(noise, labels, 3, 1, dataset="mine")
    np.testing.assert_allclose(measure(labels, given_labels, 3).transition_matrix, noise.matrix, atol=0.02)
    np.testing.assert_array_equal(given_labels[labels == 1], 1)


def test_a_class_without_samples_is_no_problem():
    labels = np.array([0, 0, 2, 2] * 50)
    for sampling in ("exact", "exact-per-class", "independent"):
        noise = Noise("symmetric", rate=0.5, sampling=sampling)
        assert set(corrupt(noise, labels, 3, 1, dataset="mine").tolist()) <= {0, 1, 2}
    assert corrupt(Noise("symmetric", rate=0.5), np.array([], dtype=int), 3, 1, dataset="mine").shape == (0,)


def test_instance_noise_hits_its_share():
    labels, given_labels = draw("instance", rate=0.4)
    assert abs((given_labels != labels).mean() - 0.4) < 5 * np.sqrt(0.24 / len(labels))


def test_instance_noise_depends_on_the_image():
    labels = np.zeros(4_000, dtype=np.int64)
    image = np.random.default_rng(1).integers(0, 256, (1, 3, 4, 4), dtype=np.uint8)
    images = np.repeat(np.concatenate([image, 255 - image]), 2_000, axis=0)
    noise = Noise("instance", rate=0.5, input_scale="normalised")
    given_labels = corrupt(noise, labels, 10, 4, dataset="cifar10", images=images)
    halves = [np.bincount(part[part > 0], minlength=10).argmax() for part in np.split(given_labels, 2)]
    assert halves[0] != halves[1]


def test_instance_noise_spreads_more_on_normalised_pixels():
    wrong_class_share = {}
    for scale in ("uint8", "normalised"):
        labels, given_labels = draw("instance", rate=0.4, input_scale=scale)
        matrix = measure(labels, given_labels, 10).transition_matrix
        wrong_class_share[scale] = np.mean((matrix - np.diag(matrix.diagonal())).max(axis=1))
    assert wrong_class_share["normalised"] < wrong_class_share["uint8"]


def test_instance_noise_on_digits_counts_equal_channels_once():
    gray = np.random.default_rng(2).integers(0, 17, (600, 1, 8, 8)).astype(np.uint8)
    labels = np.arange(600) % 10
    noise = Noise("instance", rate=0.4)
    one = corrupt(noise, labels, 10, 1, dataset="digits", images=gray)
    three = corrupt(noise, labels, 10, 1, dataset="digits", images=np.repeat(gray, 3, axis=1))
    np.testing.assert_array_equal(one, three)


def test_instance_noise_without_images_is_an_error():
    with pytest.raises(DataError, match="images"):
        corrupt(Noise("instance", rate=0.4), TEN, 10, 1, dataset="cifar10")


def test_noises_without_a_draw_return_the_labels():
    for noise, dataset in ((Noise("clean"), "cifar10"), (Noise("real"), "clothing1m")):
        given_labels = corrupt(noise, TEN, 10, 1, dataset=dataset)
        np.testing.assert_array_equal(given_labels, TEN)
        assert not np.shares_memory(given_labels, TEN)


@pytest.mark.filterwarnings("default::lnlbench.data.noise.NoiseWarning")
@pytest.mark.parametrize(
    ("name", "rate"), [("symmetric", 1.0), ("symmetric-exclusive", 0.9), ("pairflip", 0.5), ("flip2", 0.7)]
)
def test_a_rate_at_the_bound_warns(name, rate):
    with pytest.warns(NoiseWarning, match="not the most likely"):
        draw(name, rate=rate)


def test_legal_rates_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw("symmetric", rate=0.9)
        draw("pairflip", rate=0.45)
        draw("flip2", rate=0.5)


@pytest.mark.parametrize(
    ("noise", "dataset", "num_classes", "message"),
    [
        (Noise("symmetric"), "cifar10", 10, "needs a rate"),
        (Noise("clean", rate=0.2), "cifar10", 10, "no rate"),
        (Noise("human", variant="worst", rate=0.2), "cifar10", 10, "takes no 'rate'"),
        (Noise("symmetric", rate=0.2, map=((0, 1),)), "cifar10", 10, "'map' belongs to: asymmetric"),
        (Noise("symmetric", rate=0.2, variant="worst"), "cifar10", 10, "takes no 'variant'"),
        (Noise("pairflip", rate=0.2, targets=3), "cifar10", 10, "belongs to: flip, flip2"),
        (Noise("uniform", rate=0.2, std=0.2), "cifar10", 10, "belongs to: instance"),
        (Noise("tridiagonal", rate=0.2, draw="released"), "cifar10", 10, "takes no 'draw'"),
        (Noise("flip2", rate=0.2), "mine", 2, "at least 3 classes"),
        (Noise("tridiagonal", rate=0.2), "mine", 2, "at least 3 classes"),
        (Noise("block-next", rate=0.2), "mine", 12, "multiple of 5"),
        (Noise("superclass-next", rate=0.2), "cifar10", 10, "needs superclasses"),
        (Noise("hierarchical", rate=0.2), "digits", 10, "pairflip"),
        (Noise("asymmetric", rate=0.2), "somewhere", 14, "pairflip"),
        (Noise("asymmetric", rate=0.2), "cifar100", 100, "superclass-next .*Sel-CL.*block-next .*ELR.*hierarchical"),
        (Noise("asymmetric", rate=0.2, map=((0, 10),)), "cifar10", 10, "outside 0..9"),
        (Noise("asymmetric", rate=0.2, map=((0, 1), (0, 2))), "cifar10", 10, "mapped twice"),
        (Noise("asymmetric", rate=0.2, map=((1, 1),)), "cifar10", 10, "to another class"),
        (Noise("asymmetric", rate=0.2, double_flip=True, sampling="exact"), "cifar10", 10, "one by one"),
        (Noise("instance", rate=0.2, sampling="exact"), "cifar10", 10, "Allowed: independent"),
        (Noise("human", variant="worst"), "digits", 10, "cifar10 and cifar100"),
        (Noise("human", variant="fine"), "cifar10", 10, "aggre, worst, random1"),
        (Noise("human"), "cifar100", 100, "fine"),
        (Noise("file"), "cifar10", 10, "path"),
        (Noise("real"), "cifar10", 10, "Use clean"),
        (Noise("symmetric", rate=0.2, draw="released", seed=1), "cifar10", 10, "always from seed 123"),
        (Noise("flip", rate=0.2, draw="released", targets=2), "cifar10", 10, "cannot be chosen"),
        (Noise("symmetric", rate=0.2, draw="released", sampling="independent"), "cifar10", 10, "sampling is exact"),
    ],
)
def test_settings_that_do_not_fit_are_explained(noise, dataset, num_classes, message):
    with pytest.raises(InvalidSetting) as error:
        canonical_noise(noise, dataset, num_classes)
    assert re.search(message, str(error.value), flags=re.DOTALL), str(error.value)
    with pytest.raises(InvalidSetting):
        corrupt(noise, np.arange(200) % num_classes, num_classes, 1, dataset=dataset)


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(InvalidSetting, match="out of range"):
        Noise("symmetric", rate=rate)


@pytest.mark.parametrize("name", ["sym", "asym", "pmd1", "openset", "symetric"])
def test_names_that_cannot_be_run_are_refused(name):
    with pytest.raises(UnknownName):
        corrupt(Noise(name, rate=0.2), TEN, 10, 1, dataset="cifar10")


@pytest.mark.parametrize("labels", [[0, 1, 10], [-1, 0, 1], [0.0, 1.0], [[0, 1], [1, 0]]])
def test_clean_labels_must_be_classes(labels):
    with pytest.raises(DataError, match="clean labels"):
        corrupt(Noise("symmetric", rate=0.2), np.array(labels), 10, 1, dataset="cifar10")


@pytest.mark.parametrize(
    ("noise", "canonical"),
    [
        (Noise("symmetric", rate=0.2, sampling="exact"), Noise("symmetric", rate=0.2)),
        (Noise("symmetric", rate=0.2, sampling="independent"), Noise("symmetric", rate=0.2, sampling="independent")),
        (Noise("clean", rate=0.0, seed=123), Noise("clean")),
        (Noise("flip", rate=0.0), Noise("flip", rate=0.0)),
        (Noise("flip", rate=0.3, targets=1), Noise("flip", rate=0.3)),
        (Noise("symmetric", rate=0.2, draw="released", seed=123), Noise("symmetric", rate=0.2, draw="released")),
        (Noise("uniform", rate=0.2, draw="released", seed=4), Noise("uniform", rate=0.2, draw="released", seed=4)),
        (Noise("human", variant="worst", seed=5), Noise("human", variant="worst")),
        (
            Noise("asymmetric", rate=0.2, map=((9, 1), (2, 0), (4, 7), (3, 5), (5, 3))),
            Noise("asymmetric", rate=0.2),
        ),
        (Noise("asymmetric", rate=0.2, map=((3, 5), (1, 2))), Noise("asymmetric", rate=0.2, map=((1, 2), (3, 5)))),
        (
            Noise("asymmetric", rate=0.2, double_flip=True, sampling="exact-per-class"),
            Noise("asymmetric", rate=0.2, double_flip=True),
        ),
    ],
)
def test_equal_noises_have_one_canonical_form(noise, canonical):
    assert canonical_noise(noise, "cifar10", 10) == canonical
    assert canonical_noise(canonical, "cifar10", 10) == canonical


def test_a_million_samples_take_no_python_loop_over_samples(monkeypatch):
    calls = []
    real = np.searchsorted
    monkeypatch.setattr(np, "searchsorted", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    corrupt(Noise("uniform", rate=0.4), np.arange(1_000_000) % 14, 14, 1, dataset="somewhere")
    assert len(calls) <= 16
