"""`lnlbench list` and `lnlbench show`: what they say, that they say it without torch, and how they answer typos."""

from __future__ import annotations

import subprocess
import sys

import pytest

PLUGIN = """
import torch.nn.functional as F

from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    tau: float = setting(0.5, "threshold of [this]", low=0, high=1)


SPEC = MethodSpec(
    slug="mine", title="Mine [red]", summary="[bold]Mine[/bold].", paper="[1]", hyperparameters=Hyper,
    needs=("noise_rate",), table=(Row(dataset="digits", rate=(0.1, 0.3), set={"tau": 0.25}),), recipe={"epochs": 7},
)


class Mine(Method):
    spec = SPEC

    def train_epoch(self, epoch):
        for batch in self.batches():
            self.learn(F.cross_entropy(self.net(batch.weak()), batch.labels), self.net)
"""

INSTANT = (
    "--help",
    "list methods",
    "list suites",
    "list datasets",
    "list noises",
    "list backbones",
    "list methods --json",
    "show suite quickstart",
    "show method gce",
    "show method sanm(dividemix) --dataset cifar10 --noise symmetric --rate 0.2",
    "show noise symmetric --rate 0.5 --classes 5",
    "show backbone cnn9",
    "show dataset cifar10",
)

WATCH = """
import sys
from lnlbench import cli
for words in sys.argv[1:]:
    sys.argv = ["lnlbench", *words.split()]
    try:
        cli.main()
    except SystemExit as stop:
        assert not stop.code, (words, stop.code)
    heavy = {"torch", "torchvision", "sklearn"} & set(sys.modules)
    assert not heavy, f"{words} imports {heavy}"
"""


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "my [bold]plugin.py"
    path.write_text(PLUGIN)
    yield path
    from lnlbench.methods import registry

    registry._plugins.pop("mine", None)


def test_what_only_looks_things_up_starts_without_torch():
    done = subprocess.run([sys.executable, "-c", WATCH, *INSTANT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_needs_neither_numpy_nor_the_database():
    code = "import sys; from lnlbench import cli; assert not {'numpy', 'sqlalchemy', 'yaml'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["methods", "suites", "datasets", "noises", "backbones"])
def test_every_list_is_a_table_and_json(lnlbench, kind):
    printed = lnlbench("list", kind)
    listed = lnlbench("list", kind, "--json")
    assert (printed.code, listed.code) == (0, 0)
    entries = listed.json["datasets"] if kind == "datasets" else listed.json
    names = [entry.get("slug") or entry["name"] for entry in entries]
    assert names
    assert all(any(line.startswith(name) for line in printed.out.splitlines()) for name in names)


def test_an_unknown_kind_of_list_is_answered_with_the_nearest_one(lnlbench):
    ended = lnlbench("list", "metods")
    assert ended.code == 2
    assert "metods" in ended.err
    assert "methods" in ended.err


def test_plugins_are_listed_with_their_hosts(lnlbench):
    out = lnlbench("list", "methods").out
    assert "sanm(HOST)" in out
    assert "HOST is one of ce, " in out


def test_a_users_method_is_listed_and_shown_literally(lnlbench, plugin):
    assert "Mine [red]" in lnlbench("list", "methods", "--plugin", plugin).out
    out = lnlbench("show", "method", "mine", "--plugin", plugin).out
    assert "[bold]Mine[/bold]." in out
    assert "threshold of [this]" in out
    assert "digits, 10% to 30%: tau 0.25" in out


def test_a_terminal_gets_the_same_names_literally(lnlbench, plugin, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    assert "Mine [red]" in lnlbench("list", "methods", "--plugin", plugin).out


def test_a_method_shows_the_values_it_gets_in_a_cell(lnlbench):
    def value(rate: float) -> float:
        cell = ("--dataset", "cifar10", "--noise", "symmetric", "--rate", rate, "--json")
        return lnlbench("show", "method", "sanm(dividemix)", *cell).json["resolved"]["hyperparameters"]["host"][
            "lambda_u"
        ]

    assert (value(0.2), value(0.9)) == (0.0, 50.0)


def test_a_method_shows_its_insistence_on_the_recipe(lnlbench, plugin):
    out = lnlbench("show", "method", "mine", "--plugin", plugin, "--dataset", "digits").out
    assert "The recipe it insists on" in out
    assert "Recipe settings it insists on there" in out


def test_a_plugin_is_shown_with_its_host_and_alone(lnlbench):
    assert [m["slug"] for m in lnlbench("show", "method", "sanm(ce)", "--json").json["methods"]] == ["sanm", "ce"]
    assert [m["slug"] for m in lnlbench("show", "method", "sanm", "--json").json["methods"]] == ["sanm"]


@pytest.mark.parametrize(
    ("words", "given", "suggested"),
    [
        (("method", "dividemx"), "dividemx", "dividemix"),
        (("noise", "symetric"), "symetric", "symmetric"),
        (("suite", "quikstart"), "quikstart", "quickstart"),
        (("backbone", "wrn28-10"), "wrn28-10", "wrn28_10"),
        (("dataset", "cifar11"), "cifar11", "cifar10"),
        (("method", "gce", "--dataset", "cifar1"), "cifar1", "cifar10"),
        (("suite", "sanm-table1", "--scale", "papr"), "papr", "paper"),
        (("noise", "flip", "--set", "target=3"), "target", "targets"),
    ],
)
def test_a_typo_gets_one_message_with_a_suggestion(lnlbench, words, given, suggested):
    ended = lnlbench("show", *words)
    assert ended.code == 2
    assert ended.out == ""
    assert f"'{given}'" in ended.err
    assert f"'{suggested}'" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("method", "gce", "--noise", "symmetric"), "--dataset"),
        (("method", "gce", "--dataset", "cifar10", "--rate", 0.2), "--noise"),
        (("method", "sanm", "--dataset", "cifar10"), "sanm("),
        (("noise", "symmetric", "--rate", 1.5), "out of range"),
        (("noise", "human", "--rate", 0.4), "takes no rate"),
        (("noise", "asymmetric", "--rate", 0.4), "--dataset cifar10"),
        (("noise", "symmetric", "--classes", 5, "--dataset", "cifar10"), "cifar10 has 10 classes"),
    ],
)
def test_what_does_not_fit_together_is_said(lnlbench, words, says):
    ended = lnlbench("show", *words)
    assert ended.code == 2
    assert says in ended.err


def test_a_small_matrix_is_printed_whole(lnlbench):
    out = lnlbench("show", "noise", "symmetric", "--rate", 0.5, "--classes", 5).out
    assert "0.1000  0.6000  0.1000" in out
    assert "Expected share of wrong labels on balanced classes: 0.4000" in out


def test_a_large_matrix_is_summarised_and_whole_in_json(lnlbench):
    words = ("noise", "hierarchical", "--rate", 0.4, "--dataset", "cifar100")
    out = lnlbench("show", *words).out
    assert "0.6" in out
    assert "0.1 (400 times)" in out
    assert len(out.splitlines()) < 40
    assert len(lnlbench("show", *words, "--json").json["transition_matrix"]) == 100


def test_a_rate_at_which_the_true_class_no_longer_leads_is_pointed_out(lnlbench):
    assert "Caution" in lnlbench("show", "noise", "pairflip", "--rate", 0.6).out
    assert "Caution" not in lnlbench("show", "noise", "pairflip", "--rate", 0.4).out


def test_human_noise_is_shown_with_the_share_of_its_variant(lnlbench):
    out = lnlbench("show", "noise", "human", "--dataset", "cifar10", "--set", "variant=worst").out
    assert "0.4021" in out


def test_a_suite_shows_every_scale_or_one(lnlbench):
    whole = lnlbench("show", "suite", "sanm-table1").out
    desk = lnlbench("show", "suite", "sanm-table1", "--scale", "desk").out
    assert "paper scale" in whole
    assert "desk scale" in whole
    assert "paper scale" not in desk
    assert "cifar10: symmetric at 20%, 50%, 80%, 90% (draw released)" in desk
    assert "SANM(DivideMix)" in desk


def test_a_suite_in_json_has_rows_with_their_state(lnlbench):
    scales = lnlbench("show", "suite", "sanm-table1", "--json").json["scales"]
    assert {row["method"]: row["implemented"] for row in scales["paper"]["rows"]}["dividemix"] is True
    assert scales["desk"]["recipe"]["recipe"]["backbone"] == "smallcnn"


def test_a_job_is_found_by_the_start_of_its_key(lnlbench, filled):
    out = lnlbench("show", "job", filled.done[:8], "--db", filled.path).out
    assert filled.done in out
    assert "symmetric 40%" in out
    assert "96.00 in epoch 7" in out
    assert "The last 5 of 7 epochs" in out
    assert out.splitlines()[-6].split()[-2:] == ["PREDICTED", "CLASSES"]
    assert [row.split()[-1] for row in out.splitlines()[-5:]] == ["8", "7", "6", "5", "4"]


def test_all_epochs_of_a_job_are_shown_when_asked_for(lnlbench, filled):
    words = ("show", "job", filled.done, "--db", filled.path, "--json")
    assert len(lnlbench(*words).json["epochs"]) == 5
    assert [row["epoch"] for row in lnlbench(*words, "--epochs").json["epochs"]] == list(range(7))


def test_a_failed_job_shows_why(lnlbench, filled):
    out = lnlbench("show", "job", filled.failed[:8], "--db", filled.path).out
    assert "out of [memory]" in out
    assert "Traceback of the run" in out
    assert "Result" not in out


@pytest.mark.parametrize("key", ["f" * 64, "not-a-key"])
def test_a_job_that_is_not_there_is_one_message(lnlbench, filled, key):
    ended = lnlbench("show", "job", key, "--db", filled.path)
    assert ended.code == 2
    assert key in ended.err


def test_a_database_that_is_not_there_is_not_made(lnlbench, tmp_path):
    assert lnlbench("show", "job", "ab", "--db", tmp_path / "typo.sqlite").code == 2
    assert not (tmp_path / "typo.sqlite").exists()


@pytest.mark.parametrize("name", ["cifar10", "digits", "cifar10n"])
def test_a_data_set_is_shown_with_its_terms(lnlbench, name):
    found = lnlbench("show", "dataset", name, "--json").json
    assert found["found"] is (name == "digits")
    assert found["terms"] in lnlbench("show", "dataset", name).out


def test_a_backbone_is_shown_with_its_parameters(lnlbench):
    assert "11,171,274 with 10 classes" in lnlbench("show", "backbone", "preact_resnet18").out
    assert lnlbench("show", "backbone", "preact_resnet18", "--json").json["parameters_10"] == 11_171_274
