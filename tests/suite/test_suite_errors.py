"""What a user is told about a broken suite or recipe file, and about folders of suites."""

from __future__ import annotations

import pytest

from lnlbench.errors import LnlbenchError
from lnlbench.suite import load_suite, suite_names


def _broken(*lines: str) -> str:
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (_broken("title: A", "  recipe: b"), 2, "not valid YAML"),
        (_broken("title: A", "seeds: [1, 2"), 2, "not valid YAML"),
        (_broken("- a", "- b"), 1, "names with values"),
        ("", 1, "names with values"),
        (_broken("title: A", "seeds: 1", "title: B"), 3, "'title' is given twice"),
        (_broken("title: A", "1: B"), 2, "1 is no name"),
        (_broken("title: A"), 1, "'recipe' is missing"),
        (_broken("title: A", "recipe: sanm-cifar"), 1, "'columns' is missing"),
        (_broken("title: A", "recipe: sanm-cifar", "columns: 3"), 3, "'columns' is not a list"),
        (_broken("title: A", "recipe: sanm-cifar", "scales: {pape: {}}"), 3, "unknown scale 'pape'"),
        (_broken("title: A", "recipe: quickstart", "scales: {paper: {}}"), 3, "no scale 'paper'"),
        (_broken("a: &x", "  b: *x"), 1, "alias"),
    ],
)
def test_a_broken_file_is_one_message_with_file_and_line(write, text, line, says):
    path = write(text)
    with pytest.raises(LnlbenchError) as caught:
        load_suite(path)
    assert caught.value.message.startswith(str(path))
    assert f"line {line}" in caught.value.message
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seeds: 2", "seed: 2", "Did you mean 'seeds'"),
        ("seeds: 2", "seeds: two", "suite key 'seeds'"),
        ("seeds: 2", "seeds: 2\nstats: [bets]", "one of best, last"),
        ("seeds: 2", "seeds: 2\nnoise: {drow: ours}", "Did you mean 'draw'"),
        ("- dataset: digits", "- dataset: digit", "Did you mean 'digits'"),
        ("label: CE", "lable: CE", "Did you mean 'label'"),
        ("method: ce", "method: 'sanm('", "NAME(HOST)"),
        ("rates:\n  - 0.2\n  - 0.5", "rates: [0.2, 1.5]", "out of range"),
        ("draw: ours", "drow: ours", "Did you mean 'draw'"),
        ("draw: ours", "draw: theirs", "one of ours, released"),
        ("noise: symmetric", "noise: symetric", "Did you mean 'symmetric'"),
        ("name: asymmetric", "name: asym", "'asymmetric'"),
        ("label: CE", "recipe_file: nowhere\n  label: CE", "unknown recipe 'nowhere'"),
        ("label: CE", "recipe_file: quickstart\n  label: CE", "no scale 'paper'"),
        ("seeds: 2", "seeds: 2\nlike: other", "unknown suite in this folder 'other'"),
    ],
)
def test_a_wrong_key_or_value_names_its_line_and_what_is_allowed(write, small_text, old, new, says):
    assert old in small_text
    path = write(small_text.replace(old, new, 1))
    wrong = new.splitlines()[-1]
    wrong = new.splitlines()[0] if "recipe_file" in new else wrong
    line = next(i for i, found in enumerate(path.read_text().splitlines(), 1) if wrong in found)
    with pytest.raises(LnlbenchError) as caught:
        load_suite(path)
    assert caught.value.message.startswith(f"{path}, line {line}: ")
    assert says in str(caught.value)


def test_suites_of_the_user_s_folder_are_known_by_name(write, tmp_path, monkeypatch):
    write()
    monkeypatch.setenv("LNLBENCH_SUITES", str(tmp_path))
    assert "mine" in suite_names()
    assert load_suite("mine").title == "A table"
    write(name="quickstart.yaml")
    with pytest.raises(LnlbenchError, match="two suites are called 'quickstart'"):
        suite_names()


def test_a_suites_folder_that_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("LNLBENCH_SUITES", str(tmp_path / "nowhere"))
    with pytest.raises(LnlbenchError, match="nowhere"):
        suite_names()
