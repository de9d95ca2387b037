"""Methods are found by file, by plug-in and by entry point; their specs are read without torch."""

import dataclasses
import importlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

from lnlbench.errors import InvalidSetting, LnlbenchError, UnknownName
from lnlbench.methods import registry
from lnlbench.methods.base import Method, Plugin

OURS = [
    "bootstrap",
    "cdr",
    "ce",
    "coteaching",
    "dividemix",
    "elr",
    "elr_plus",
    "forward",
    "forward_true",
    "gce",
    "imae",
    "joint_optim",
    "pencil",
    "rfl",
    "sanm",
    "sl",
]

PLUGIN = """
from lnlbench.methods.base import Method
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting

@dataclass(frozen=True)
class Hyper(Hyperparameters):
    weight: float = setting(2.0, "a weight")

class Mine(Method):
    spec = MethodSpec(slug="{slug}", title="Mine", summary="", paper="", hyperparameters=Hyper)

    def train_epoch(self, epoch):
        for batch in self.batches():
            self.learn(self.hp.weight * self.net(batch.weak()).square().mean(), self.net)
"""


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch):
    """Plug-ins of one test are unknown to the next."""
    monkeypatch.setattr(registry, "_plugins", {})


def written(folder, text, name="mine.py"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("slug", OURS)
def test_specs_read_from_the_file_equal_the_imported_modules(slug):
    path = registry.FOLDER / f"{slug}.py"
    registry.read_spec.cache_clear()
    read = registry.read_spec(path)
    declared = importlib.import_module(f"lnlbench.methods.{slug}").SPEC
    for field in dataclasses.fields(declared):
        if field.name != "hyperparameters":
            assert getattr(read, field.name) == getattr(declared, field.name)
    assert read.hyperparameters.describe() == declared.hyperparameters.describe()
    assert read.slug == slug


def test_reading_every_spec_imports_no_torch_and_leaves_no_module_behind():
    code = (
        "import sys\n"
        "from lnlbench.methods import registry\n"
        "from lnlbench.resolve import resolve_job\n"
        "from lnlbench.job import Noise\n"
        "print(*(registry.spec(n).title for n in registry.names()), sep='|')\n"
        "job = resolve_job('sanm(dividemix)', 'cifar10', Noise('symmetric', 0.2), 1)\n"
        "assert job.hyperparameters['host']['lambda_u'] == 0\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'numpy', 'lnlbench.methods.dividemix'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    assert {"Cross-Entropy", "GCE", "Co-teaching", "DivideMix", "SANM"} <= set(out.stdout.strip().split("|"))


@pytest.mark.parametrize("slug", OURS)
def test_every_method_is_one_class_with_its_spec(slug):
    cls = registry.load(slug)
    assert issubclass(cls, Plugin if registry.spec(slug).plugin else Method)
    assert cls.spec.slug == slug
    assert slug in registry.names()


@pytest.mark.parametrize(
    ("text", "expected", "slugs"),
    [("ce", "ce", ("ce",)), (" SANM( DivideMix )", "sanm(dividemix)", ("sanm", "dividemix"))],
)
def test_expressions_are_read_in_any_spelling(text, expected, slugs):
    parsed = registry.parse(text)
    assert str(parsed) == expected
    assert parsed.slugs == slugs


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("dividemx", UnknownName, "Did you mean 'dividemix'"),
        ("sanm(dividemx)", UnknownName, "Did you mean 'dividemix'"),
        ("sanm", InvalidSetting, "plug-in over a host"),
        ("ce(gce)", InvalidSetting, "takes no host"),
        ("sanm(ce", InvalidSetting, "not written as"),
        ("", InvalidSetting, "not written as"),
        ("base", UnknownName, "unknown method 'base'"),
        ("registry", UnknownName, "unknown method"),
    ],
)
def test_expressions_without_meaning_are_refused(text, error, message):
    with pytest.raises(error, match=message):
        registry.parse(text)


def test_a_plug_in_file_adds_its_methods(tmp_path):
    path = written(tmp_path, PLUGIN.format(slug="mine"))
    assert registry.load_plugin(path) == ["mine"]
    assert registry.load_plugin(path) == ["mine"]
    assert "mine" in registry.names()
    assert registry.spec("mine").hyperparameters().weight == 2
    assert registry.load("mine").__name__ == "Mine"
    assert str(registry.parse("mine")) == "mine"


def test_a_method_of_a_plug_in_trains(tmp_path, rig):
    registry.load_plugin(written(tmp_path, PLUGIN.format(slug="mine")))
    first, *_, last = rig("mine", weight=3.0).epoch(0)
    assert last.loss < first.loss


def test_a_changed_plug_in_file_is_read_anew(tmp_path):
    path = written(tmp_path, PLUGIN.format(slug="mine"))
    registry.load_plugin(path)
    path.write_text(PLUGIN.format(slug="mine").replace("2.0", "5.0"))
    registry.load_plugin(path)
    assert registry.spec("mine").hyperparameters().weight == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLUGIN.format(slug="dividemix"), "has a method 'dividemix' of its own"),
        ("import no_such_module\n", "fails to import: ModuleNotFoundError"),
        ("def broken(:\n", "fails to import: SyntaxError"),
        ("1 / 0\n", "fails to import: ZeroDivisionError"),
        ("raise SystemExit(3)\n", "fails to import: SystemExit: 3"),
        (PLUGIN.format(slug="Mine"), "'Mine': a slug is lower-case"),
        (PLUGIN.format(slug="my-method"), "a slug is lower-case"),
        ("from lnlbench.methods.ce import CrossEntropy\n", "defines no method"),
    ],
)
def test_plug_in_files_that_cannot_serve_say_why(tmp_path, text, message):
    with pytest.raises(LnlbenchError, match=message):
        registry.load_plugin(written(tmp_path, text))
    assert not registry._plugins


def test_a_plug_in_file_that_is_not_there_or_no_python_is_refused(tmp_path):
    with pytest.raises(LnlbenchError, match="does not exist"):
        registry.load_plugin(tmp_path / "absent.py")
    with pytest.raises(LnlbenchError, match="not a Python file"):
        registry.load_plugin(written(tmp_path, "text", "notes.txt"))


def test_entry_points_add_methods_by_class_or_module(tmp_path, monkeypatch):
    registry.load_plugin(written(tmp_path, PLUGIN.format(slug="theirs")))
    cls = registry.load("theirs")
    registry._plugins.clear()
    points = [
        SimpleNamespace(name="theirs", load=lambda: cls),
        SimpleNamespace(name="broken", load=lambda: SimpleNamespace(__name__="empty")),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.ENTRY_POINTS else [])
    assert {"theirs", "broken"} <= set(registry.names())
    assert registry.load("theirs") is cls
    assert registry.spec("theirs").title == "Mine"
    points[0] = SimpleNamespace(name="theirs", load=lambda: sys.modules[cls.__module__])
    assert registry.load("theirs") is cls
    with pytest.raises(LnlbenchError, match="defines no method 'broken'"):
        registry.load("broken")


def test_provenance_covers_the_method_and_its_host():
    digests = [
        registry.source_sha256(registry.parse(text)) for text in ("ce", "dividemix", "sanm(ce)", "sanm(dividemix)")
    ]
    assert len(set(digests)) == 4
    assert all(len(digest) == 64 for digest in digests)


def test_a_table_by_rate_must_declare_its_need():
    from lnlbench.methods.spec import MethodSpec, Row

    with pytest.raises(InvalidSetting, match="noise_rate"):
        MethodSpec(slug="m", title="", summary="", paper="", table=(Row(rate=0.9, set={}),))
    with pytest.raises(InvalidSetting, match="unknown need 'oracle'"):
        MethodSpec(slug="m", title="", summary="", paper="", needs=("oracle",))
