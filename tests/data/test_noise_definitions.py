"""The noises as matrices: rows, shares, targets, the examples of the cards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnlbench.data.noise import CATALOGUE, info, redraw_matrix, share, transition_matrix
from lnlbench.data.noise.definitions import true_class_leads
from lnlbench.data.noise.targets import CIFAR100_COARSE, flip_targets, superclass_next
from lnlbench.errors import InvalidSetting, UnknownName
from lnlbench.job import Noise

ANY_CLASS_COUNT = ("symmetric", "uniform", "symmetric-exclusive", "flip", "flip2", "pairflip", "tridiagonal")
CIFAR100_ONLY = ("superclass-next", "block-next", "hierarchical")
EXCLUSIVE = ("symmetric-exclusive", "flip", "flip2", "pairflip", "tridiagonal", *CIFAR100_ONLY)

rates = st.floats(0, 1)


def rows(text: str) -> np.ndarray:
    return np.array([[float(v) for v in row.split()] for row in text.split("|")])


def numbers(text: str) -> list[int]:
    return [int(v) for v in text.split()]


def assert_transition_matrix(matrix, num_classes):
    assert matrix.shape == (num_classes, num_classes)
    assert matrix.dtype == np.float64
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=0, atol=1e-12)


@given(name=st.sampled_from(ANY_CLASS_COUNT), num_classes=st.integers(3, 100), rate=rates)
def test_rows_are_probabilities(name, num_classes, rate):
    assert_transition_matrix(transition_matrix(Noise(name, rate=rate), num_classes), num_classes)


@given(name=st.sampled_from(CIFAR100_ONLY), rate=rates)
def test_rows_of_superclass_noises_are_probabilities(name, rate):
    assert_transition_matrix(transition_matrix(Noise(name, rate=rate), 100, "cifar100"), 100)


@given(rate=rates, double=st.booleans(), dataset=st.sampled_from(["cifar10", "digits", "mnist", "fashion_mnist"]))
def test_rows_of_class_maps_are_probabilities(rate, double, dataset):
    noise = Noise("asymmetric", rate=rate, double_flip=double)
    assert_transition_matrix(transition_matrix(noise, 10, dataset), 10)


@pytest.mark.parametrize("name", ["symmetric", "uniform", "symmetric-exclusive", "flip", "pairflip"])
def test_two_classes_are_enough(name):
    assert_transition_matrix(transition_matrix(Noise(name, rate=0.3), 2), 2)


@given(num_classes=st.integers(2, 100), rate=rates)
def test_symmetric_uniform_and_rescaled_exclusive_share_one_matrix(num_classes, rate):
    symmetric = transition_matrix(Noise("symmetric", rate=rate), num_classes)
    uniform = transition_matrix(Noise("uniform", rate=rate), num_classes)
    wrong = Noise("symmetric-exclusive", rate=rate * (num_classes - 1) / num_classes)
    np.testing.assert_array_equal(symmetric, uniform)
    np.testing.assert_allclose(symmetric, transition_matrix(wrong, num_classes), rtol=0, atol=1e-12)


@given(num_classes=st.sampled_from([5, 10, 100]), rate=rates)
def test_share_follows_the_table(num_classes, rate):
    balanced = np.ones(num_classes)
    for name in ("symmetric", "uniform"):
        inclusive = rate * (num_classes - 1) / num_classes
        assert share(Noise(name, rate=rate), balanced) == pytest.approx(inclusive, abs=1e-12)
    for name in EXCLUSIVE:
        if num_classes == 100 or name not in CIFAR100_ONLY:
            assert share(Noise(name, rate=rate), balanced, "cifar100") == pytest.approx(rate, abs=1e-12)
    asymmetric = share(Noise("asymmetric", rate=rate), np.ones(10), "cifar10")
    assert asymmetric == pytest.approx(rate / 2, abs=1e-12)


def test_share_weighs_classes_by_their_frequency():
    noise = Noise("asymmetric", rate=0.4, map=((0, 1),))
    assert share(noise, [30, 10], "mine") == pytest.approx(0.3)


def test_share_of_instance_noise_is_the_mean_of_the_truncated_normal():
    printed = {0.1: 0.1288, 0.2: 0.2055, 0.3: 0.3004, 0.4: 0.4000, 0.5: 0.5000}
    for rate, value in printed.items():
        assert share(Noise("instance", rate=rate), np.ones(10)) == pytest.approx(value, abs=6e-5)


def test_share_of_the_rest():
    assert share(Noise("clean"), np.ones(4)) == 0
    assert share(Noise("human", variant="worst"), np.ones(10), "cifar10") == 0.40208
    assert share(Noise("file", file="labels.json"), np.ones(10)) is None
    assert share(Noise("matrix", matrix=((0.9, 0.1), (0.3, 0.7))), [1, 1]) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pairflip", ".6 .4 0 0 0 | 0 .6 .4 0 0 | 0 0 .6 .4 0 | 0 0 0 .6 .4 | .4 0 0 0 .6"),
        ("flip", ".6 0 .4 0 0 | 0 .6 0 0 .4 | .4 0 .6 0 0 | .4 0 0 .6 0 | 0 0 0 .4 .6"),
        ("flip2", ".6 0 0 .2 .2 | .2 .6 0 .2 0 | 0 0 .6 .2 .2 | 0 0 .2 .6 .2 | 0 0 .2 .2 .6"),
        ("block-next", ".6 .4 0 0 0 | 0 .6 .4 0 0 | 0 0 .6 .4 0 | 0 0 0 .6 .4 | .4 0 0 0 .6"),
        ("tridiagonal", ".6 .2 0 0 .2 | .2 .6 .2 0 0 | 0 .2 .6 .2 0 | 0 0 .2 .6 .2 | .2 0 0 .2 .6"),
    ],
)
def test_the_five_class_examples(name, expected):
    np.testing.assert_allclose(transition_matrix(Noise(name, rate=0.4), 5), rows(expected), atol=1e-15)


def test_the_five_class_examples_of_symmetric_and_asymmetric():
    np.testing.assert_allclose(
        transition_matrix(Noise("symmetric", rate=0.4), 5), np.full((5, 5), 0.08) + 0.6 * np.eye(5)
    )
    toy = Noise("asymmetric", rate=0.4, map=((1, 0), (2, 3), (3, 2)))
    expected = rows("1 0 0 0 0 | .4 .6 0 0 0 | 0 0 .6 .4 0 | 0 0 .4 .6 0 | 0 0 0 0 1")
    np.testing.assert_allclose(transition_matrix(toy, 5), expected, atol=1e-15)


def test_released_flip_targets():
    assert flip_targets(10, 1, 1)[0].ravel().tolist() == numbers("6 9 6 0 0 1 8 6 2 4")
    pairs = [(9, 3), (4, 8), (1, 8), (8, 4), (2, 5), (7, 4), (9, 2), (8, 5), (6, 5), (5, 4)]
    assert [tuple(p) for p in flip_targets(10, 2, 1)[0].tolist()] == pairs
    assert flip_targets(100, 1, 1)[0].ravel().tolist() == numbers(
        "38 13 73 10 76 6 80 65 17 1 77 72 6 26 51 21 19 85 11 29 30 14 51 69 88 88 95 97 87 13 9 7 64 62 22 58 1 0 "
        "61 82 8 89 13 48 73 30 72 3 71 21 49 58 3 69 24 43 77 26 52 81 41 83 15 65 69 25 99 88 7 26 25 22 9 67 23 27 "
        "37 57 84 38 8 32 34 10 23 15 88 25 71 93 74 62 46 32 88 23 55 65 77 3"
    )
    assert flip_targets(100, 2, 1)[0].ravel().tolist() == numbers(
        "93 84 45 70 57 60 41 11 46 44 0 96 47 92 91 80 3 17 50 53 91 27 55 46 71 76 42 9 82 29 61 13 93 17 15 54 48 "
        "91 9 17 27 26 84 75 72 59 71 55 43 83 29 95 59 83 99 91 42 75 63 42 99 57 41 94 60 87 93 69 33 66 98 61 26 "
        "59 44 19 90 17 71 59 47 89 4 26 88 64 53 21 33 5 89 7 0 64 80 23 68 16 82 1 52 73 23 2 40 21 96 62 76 34 44 "
        "8 58 32 49 40 6 89 20 89 42 75 63 66 25 4 99 56 14 22 16 90 28 65 53 63 71 41 22 79 61 33 31 99 3 23 11 74 45 "
        "94 72 74 45 87 99 80 97 90 92 71 55 48 90 72 60 36 43 14 58 46 64 90 24 60 20 56 96 43 99 76 12 65 36 75 80 "
        "58 72 41 37 3 46 10 87 52 13 69 21 45 20 96"
    )


@given(num_classes=st.integers(3, 40), seed=st.integers(0, 2**32 - 1))
def test_flip_targets_are_distinct_other_classes(num_classes, seed):
    for count in (1, 2):
        targets, _ = flip_targets(num_classes, count, seed)
        for c, own in enumerate(targets.tolist()):
            assert c not in own
            assert len(set(own)) == count


def test_other_flip_targets_on_request():
    released = redraw_matrix(Noise("flip2", rate=0.2), 10)
    np.testing.assert_array_equal(released, redraw_matrix(Noise("flip2", rate=0.2, targets=1), 10))
    assert (released != redraw_matrix(Noise("flip2", rate=0.2, targets=2), 10)).any()


def test_superclass_next_targets_of_cifar100():
    expected = numbers(
        "51 32 11 42 30 20 7 14 13 10 16 35 17 48 18 19 28 37 24 21 25 31 39 33 6 84 45 29 61 44 55 38 67 49 63 46 50 "
        "68 15 40 86 69 43 88 78 77 98 52 58 60 65 53 56 57 62 72 59 83 90 96 71 9 70 64 66 74 75 73 76 81 82 23 95 91 "
        "80 34 12 79 93 99 36 85 92 0 94 89 87 22 97 41 8 1 54 27 5 4 47 3 2 26"
    )
    assert superclass_next(np.array(CIFAR100_COARSE)).tolist() == expected
    assert redraw_matrix(Noise("superclass-next", rate=0.1), 100, "cifar100").argmax(axis=1).tolist() == expected


@pytest.mark.parametrize("name", ["superclass-next", "hierarchical"])
def test_superclass_noises_stay_in_the_superclass(name):
    sources, targets = np.nonzero(redraw_matrix(Noise(name, rate=0.1), 100, "cifar100"))
    coarse = np.array(CIFAR100_COARSE)
    assert (coarse[sources] == coarse[targets]).all()
    assert (sources != targets).all()


def test_block_next_is_not_a_superclass_noise():
    targets = redraw_matrix(Noise("block-next", rate=0.1), 100, "cifar100").argmax(axis=1)
    coarse = np.array(CIFAR100_COARSE)
    assert np.flatnonzero(coarse == coarse[targets]).tolist() == [6, 19, 42, 63, 86, 89]


def test_superclasses_of_other_data_sets_are_given():
    matrix = redraw_matrix(Noise("superclass-next", rate=0.1), 4, "mine", coarse=[0, 1, 0, 1])
    assert matrix.argmax(axis=1).tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize("name", EXCLUSIVE)
def test_exclusive_noises_never_redraw_the_true_class(name):
    assert (redraw_matrix(Noise(name, rate=0.5), 100, "cifar100").diagonal() == 0).all()


def test_asymmetric_maps():
    def moves(dataset):
        targets = redraw_matrix(Noise("asymmetric", rate=0.1), 10, dataset).argmax(axis=1)
        return {c: t for c, t in enumerate(targets.tolist()) if c != t}

    assert moves("cifar10") == {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
    assert moves("digits") == {7: 1, 2: 7, 3: 8, 5: 6, 6: 5}
    assert moves("fashion_mnist") == {0: 6, 2: 4, 5: 7, 7: 5}


def test_double_flip_matrix_has_the_measured_effect():
    # Measured by the card on one draw each of 50,000 labels, hence the tolerances.
    for rate, cats, total in ((0.1, 0.09, 0.049), (0.2, 0.162, 0.096), (0.3, 0.206, 0.140), (0.4, 0.241, 0.184)):
        noise = Noise("asymmetric", rate=rate, double_flip=True)
        matrix = transition_matrix(noise, 10, "cifar10")
        assert 1 - matrix[3, 3] == pytest.approx(cats, abs=5e-3)
        assert 1 - matrix[5, 5] == pytest.approx(rate)
        assert share(noise, np.ones(10), "cifar10") == pytest.approx(total, abs=1.5e-3)


@pytest.mark.parametrize(
    ("name", "num_classes", "bound"),
    [
        ("symmetric", 10, 1),
        ("uniform", 10, 1),
        ("symmetric-exclusive", 10, 0.9),
        ("flip", 10, 0.5),
        ("flip2", 10, 2 / 3),
        ("asymmetric", 10, 0.5),
        ("pairflip", 10, 0.5),
        ("superclass-next", 100, 0.5),
        ("block-next", 100, 0.5),
        ("hierarchical", 100, 0.8),
        ("tridiagonal", 10, 2 / 3),
    ],
)
def test_the_true_class_leads_below_the_bound_and_not_at_it(name, num_classes, bound):
    dataset = "cifar100" if num_classes == 100 else "cifar10"
    assert true_class_leads(transition_matrix(Noise(name, rate=bound - 1e-6), num_classes, dataset))
    assert not true_class_leads(transition_matrix(Noise(name, rate=bound), num_classes, dataset))


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        (Noise("instance", rate=0.2), "depend on the image"),
        (Noise("human", variant="worst"), "people"),
        (Noise("file", file="labels.json"), "from a file"),
        (Noise("real"), "came noisy"),
    ],
)
def test_noises_that_are_not_class_conditional_have_no_matrix(noise, reason):
    with pytest.raises(InvalidSetting, match=reason):
        transition_matrix(noise, 10, "cifar10")


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (((0.9, 0.1), (0.5, 0.4)), "row 1 sums to 0.9"),
        (((0.9, 0.1, 0.0), (0.2, 0.8, 0.0)), "expected 2 rows of 2"),
        (((0.9, 0.2), (0.1, 0.8)), "transpose"),
        (None, "needs 'matrix'"),
    ],
)
def test_a_bad_matrix_is_explained(matrix, message):
    with pytest.raises(InvalidSetting, match=message):
        transition_matrix(Noise("matrix", matrix=matrix), 2)


def test_every_entry_of_the_catalogue_is_complete():
    fields = Noise.names()
    for name, entry in CATALOGUE.items():
        assert info(name) is entry
        assert entry.definition
        assert entry.used_by
        assert entry.share
        assert entry.bound
        assert set(entry.parameters) <= set(fields)
        assert entry.sampling in (*entry.samplings, "")


@pytest.mark.parametrize(
    ("alias", "canonical"),
    [
        ("sym", "symmetric"),
        ("unif", "uniform"),
        ("asym", "asymmetric"),
        ("pair", "pairflip"),
        ("symmetric_ex", "symmetric-exclusive"),
        ("sym-ex", "symmetric-exclusive"),
    ],
)
def test_aliases_are_answered_with_the_canonical_name(alias, canonical):
    assert alias not in CATALOGUE
    with pytest.raises(UnknownName, match=f"write name: {canonical}"):
        info(alias)


def test_names_that_cannot_be_run_say_what_to_use():
    for name in ("pmd1", "pmd2", "pmd3"):
        with pytest.raises(UnknownName, match="name: file"):
            info(name)
    with pytest.raises(UnknownName, match="not implemented"):
        info("openset")
    with pytest.raises(UnknownName, match="'symmetric'"):
        info("symetric")
