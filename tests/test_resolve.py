"""From what was asked to the job: who wins, whose a name is, and what a method insists on."""

import dataclasses

import pytest

from lnlbench.errors import DataError, InvalidSetting, UnknownName
from lnlbench.job import Noise
from lnlbench.methods import registry
from lnlbench.methods.registry import parse
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, setting
from lnlbench.resolve import method_version, needs, resolve_hyperparameters, resolve_job, split_settings

SYM = Noise("symmetric", 0.2)


@dataclasses.dataclass(frozen=True)
class HostHyper(Hyperparameters):
    a: float = setting(0.0, "in four places")
    b: float = setting(0.0, "in the host only", low=-10)
    shared: float = setting(0.0, "the plug-in has one of this name too")


@dataclasses.dataclass(frozen=True)
class PlugHyper(Hyperparameters):
    shared: float = setting(0.0, "the host has one of this name too")
    variant: str = setting("x", "chooses a row")


HOST = MethodSpec(
    slug="host",
    title="Host",
    summary="",
    paper="",
    needs=("noise_rate", "noise_type"),
    hyperparameters=HostHyper,
    table=(
        Row(dataset="cifar10", set={"a": 1.0}),
        Row(noise="symmetric", rate=(0.3, 0.5), set={"b": 5.0}),
        Row(dataset="cifar100", set={"recipe.schedule.start": 100}),
    ),
    recipe={"backbone": "cnn9", "optimizer": {"name": "adam", "lr": 1e-3}},
)
PLUG = MethodSpec(
    slug="plug",
    title="Plug",
    summary="",
    paper="",
    hyperparameters=PlugHyper,
    plugin=True,
    hosts=("host",),
    table=(
        Row(given={"variant": "y"}, set={"shared": 7.0}),
        Row(given={"variant": "y"}, host="host", set={"host.a": 2.0}),
        Row(given={"variant": "y"}, host="other", set={"host.a": 99.0}),
    ),
    recipe={"epochs": 77},
)


@pytest.fixture
def made_up(monkeypatch):
    """Two made-up methods, `host` and `plug(HOST)`."""
    specs = {"host": HOST, "plug": PLUG}
    real = registry.spec
    monkeypatch.setattr(registry, "spec", lambda slug: specs.get(slug) or real(slug))


def hyper(method, *overrides, dataset="cifar10", noise=SYM):
    return resolve_hyperparameters(parse(method), dataset, noise, overrides)


def test_the_table_goes_over_defaults_and_the_suite_and_the_command_line_over_both(made_up):
    assert hyper("host", dataset="digits")["a"] == 0
    assert hyper("host")["a"] == 1
    assert hyper("host", {"a": 3.0})["a"] == 3
    assert hyper("host", {"a": 3.0}, {"a": 4.0})["a"] == 4
    assert hyper("host", {"a": 3.0}, {"b": 4.0}) == {"a": 3, "b": 4, "shared": 0}


def test_a_plug_ins_table_goes_over_its_hosts_and_below_what_is_asked(made_up):
    assert hyper("plug(host)")["host"]["a"] == 1
    assert hyper("plug(host)", {"variant": "y"})["host"]["a"] == 2
    assert hyper("plug(host)", {"variant": "y"}, {"host.a": 3.0})["host"]["a"] == 3
    assert hyper("plug(host)", {"variant": "y"}, {"a": 3.0})["host"]["a"] == 3
    assert hyper("plug(host)", {"host.a": 5.0}, {"a": 6.0})["host"]["a"] == 6


def test_a_row_may_depend_on_what_was_chosen(made_up):
    assert hyper("plug(host)")["shared"] == 0
    assert hyper("plug(host)", {"variant": "y"})["shared"] == 7
    assert hyper("plug(host)", {"variant": "y", "shared": 8.0})["shared"] == 8


def test_a_bare_name_is_the_plug_ins_own_before_its_hosts(made_up):
    found = hyper("plug(host)", {"shared": 1.0, "host.shared": 2.0, "b": 3.0})
    assert (found["shared"], found["host"]["shared"], found["host"]["b"]) == (1, 2, 3)


@pytest.mark.parametrize(("rate", "b"), [(0.29, 0), (0.3, 5), (0.4, 5), (0.5, 5), (0.1 + 0.2, 5), (0.51, 0), (None, 0)])
def test_rows_by_rate_take_their_ends_in(made_up, rate, b):
    assert hyper("host", noise=Noise("symmetric", rate))["b"] == b
    assert hyper("host", noise=Noise("asymmetric", rate))["b"] == 0


@pytest.mark.parametrize("name", ["lamda_u", "host.mu", "host.host.lambda_u", "hos.lambda_u"])
def test_names_that_nobody_has_are_refused_with_the_nearest(name):
    with pytest.raises(UnknownName, match=name.replace(".", r"\.")):
        hyper("sanm(dividemix)", {name: 1.0})
    with pytest.raises(UnknownName, match="Did you mean 'lambda_u'"):
        hyper("dividemix", {"lamda_u": 1.0})


def test_values_of_the_wrong_kind_or_out_of_range_are_refused():
    with pytest.raises(InvalidSetting, match="lambda_u"):
        hyper("dividemix", {"lambda_u": "much"})
    with pytest.raises(InvalidSetting, match="out of range"):
        hyper("sanm(dividemix)", {"host.p_threshold": 1.5})
    with pytest.raises(InvalidSetting, match="variant"):
        hyper("sanm(ce)", {"variant": "offical"})


@pytest.mark.parametrize(("rate", "lambda_u"), [(0.2, 0), (0.5, 25), (0.8, 25), (0.9, 50)])
def test_dividemix_has_its_published_weight_at_each_rate_also_as_a_host(rate, lambda_u):
    noise = Noise("symmetric", rate)
    assert hyper("dividemix", noise=noise)["lambda_u"] == lambda_u
    hosted = hyper("sanm(dividemix)", noise=noise)["host"]
    assert hosted["lambda_u"] == lambda_u
    assert (hosted["p_threshold"], hosted["loss_window"]) == ((0.6, 5) if rate == 0.9 else (0.5, 1))


def test_the_recipe_of_the_suite_yields_to_the_papers_at_paper_scale_only(made_up):
    suite = {"backbone": "wrn28_10", "epochs": 5, "optimizer": {"lr": 0.1, "momentum": 0.5}}
    job = resolve_job("plug(host)", "cifar10", SYM, 1, recipe=suite)
    assert (job.recipe.backbone, job.recipe.epochs) == ("cnn9", 77)
    assert (job.recipe.optimizer.name, job.recipe.optimizer.lr, job.recipe.optimizer.momentum) == ("adam", 1e-3, 0.5)
    desk = resolve_job("plug(host)", "cifar10", SYM, 1, scale="desk", recipe=suite)
    assert (desk.recipe.backbone, desk.recipe.epochs, desk.recipe.optimizer.lr) == ("wrn28_10", 5, 0.1)
    asked = resolve_job("plug(host)", "cifar10", SYM, 1, recipe=suite, recipe_overrides={"epochs": 3})
    assert asked.recipe.epochs == 3


def test_a_table_may_set_the_recipe(made_up):
    assert resolve_job("host", "cifar100", SYM, 1).recipe.schedule.start == 100
    assert resolve_job("host", "cifar10", SYM, 1).recipe.schedule.start == 0


def test_co_teaching_insists_on_its_recipe():
    recipe = resolve_job("coteaching", "cifar10", SYM, 1).recipe
    assert (recipe.backbone, recipe.epochs, recipe.batch_size, recipe.augment) == ("cnn9", 200, 128, "none")
    assert (recipe.optimizer.name, recipe.optimizer.lr, recipe.optimizer.weight_decay) == ("adam", 1e-3, 0)
    assert (recipe.schedule.name, recipe.schedule.start, recipe.schedule.adam_beta1) == ("linear", 80, 0.1)
    assert recipe.normalisation == "none"
    assert resolve_job("coteaching", "cifar100", SYM, 1).recipe.schedule.start == 100


def test_settings_are_told_apart_by_their_names():
    expression = parse("sanm(dividemix)")
    values = {
        "mu": 0.1,
        "host.alpha": 2,
        "lambda_u": 0,
        "epochs": 3,
        "lr": 0.5,
        "optimizer.momentum": 0,
        "recipe.width": 2,
    }
    assert split_settings(expression, values) == (
        {"mu": 0.1, "host.alpha": 2, "lambda_u": 0},
        {"epochs": 3, "optimizer": {"lr": 0.5, "momentum": 0}, "width": 2},
    )


@pytest.mark.parametrize("name", ["epoch", "optimizer.lrr", "recipe.mu", "optimizer.lr.x"])
def test_settings_that_are_neither_are_refused(name):
    with pytest.raises((UnknownName, InvalidSetting)):
        split_settings(parse("sanm(ce)"), {name: 1})


def test_needs_are_those_of_the_whole_expression():
    assert needs(parse("ce")) == ()
    assert needs(parse("sanm(ce)")) == ()
    assert needs(parse("sanm(dividemix)")) == needs(parse("dividemix")) == ("noise_rate", "noise_type")
    assert needs(parse("coteaching")) == ("noise_rate",)


def test_every_resolved_value_is_in_the_key():
    plain = resolve_job("sanm(dividemix)", "cifar10", SYM, 1)
    assert plain.method == "sanm(dividemix)"
    assert plain.method_version == method_version(parse("sanm(dividemix)")) == 1
    assert plain.key == resolve_job("SANM( DivideMix )", "cifar10", SYM, 1).key
    # lambda_u 0 is what the table says at 20%: saying so is the same job, another value is another.
    assert plain.key == resolve_job("sanm(dividemix)", "cifar10", SYM, 1, overrides=[{"lambda_u": 0}]).key
    assert plain.key != resolve_job("sanm(dividemix)", "cifar10", SYM, 1, overrides=[{"lambda_u": 25}]).key


def test_the_version_rises_with_any_of_the_expressions_methods(made_up, monkeypatch):
    assert method_version(parse("plug(host)")) == 1
    newer = dataclasses.replace(HOST, version=3)
    before = registry.spec
    monkeypatch.setattr(registry, "spec", lambda slug: newer if slug == "host" else before(slug))
    assert method_version(parse("plug(host)")) == 3


def test_noises_that_draw_the_same_labels_have_one_key_and_a_file_is_known_by_its_content(tmp_path):
    plain = resolve_job("ce", "digits", Noise(name="symmetric", rate=0.4), 1)
    spelt_out = resolve_job("ce", "digits", Noise(name="symmetric", rate=0.4, sampling="exact"), 1)
    assert plain.key == spelt_out.key
    file = tmp_path / "labels.json"
    file.write_text(str([0] * 1437))
    noise = Noise(name="file", file=str(file))
    before = resolve_job("ce", "digits", noise, 1)
    file.write_text(str([1] + [0] * 1436))
    after = resolve_job("ce", "digits", noise, 1)
    assert before.key != after.key
    assert after.noise.file_sha256 is not None
    file.unlink()
    with pytest.raises(DataError, match=r"labels\.json"):
        resolve_job("ce", "digits", noise, 1)


def test_a_table_row_that_needs_a_hyperparameter_may_set_the_recipe_too(monkeypatch):
    spec = dataclasses.replace(PLUG, table=(Row(given={"variant": "y"}, set={"recipe.epochs": 5}),))
    known = {"plug": spec, "host": HOST}
    monkeypatch.setattr(registry, "spec", lambda slug: known[slug])

    def epochs(variant):
        return resolve_job("plug(host)", "cifar10", SYM, 1, overrides=[{"variant": variant}]).recipe.epochs

    assert (epochs("x"), epochs("y")) == (77, 5)
