"""Numbers in settings: what is refused with a message, and that equal ones are written alike, hence have one key."""

import pytest

from lnlbench.errors import InvalidSetting
from lnlbench.job import LARGEST_SEED, Job, Noise, Optimizer, Recipe


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf"), True, "0.1"])
def test_what_is_no_finite_number_is_refused_as_one(value) -> None:
    with pytest.raises(InvalidSetting, match="expected number"):
        Optimizer(lr=value)
    with pytest.raises(InvalidSetting, match="expected number or null"):
        Recipe(clip_norm=value)


@pytest.mark.parametrize("zero", [0, 0.0, -0.0])
def test_every_way_to_write_zero_gives_the_same_key(zero) -> None:
    made = Job(method="ce", noise=Noise(name="symmetric", rate=zero))
    assert made.key == Job(method="ce", noise=Noise(name="symmetric", rate=0.0)).key


def test_a_seed_that_no_database_holds_is_refused() -> None:
    assert Job(method="ce", seed=LARGEST_SEED).seed == LARGEST_SEED
    with pytest.raises(InvalidSetting, match=r"'seed'.*out of range"):
        Job(method="ce", seed=LARGEST_SEED + 1)
