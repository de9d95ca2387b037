"""Runs `lnlbench` inside the test process, through `main` and so with its exit codes."""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple

import pytest

from lnlbench import cli


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """`run("list", "methods")` is what `lnlbench list methods` prints and returns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *words: object) -> Ended:
        self.monkeypatch.setattr(sys, "argv", ["lnlbench", *(str(word) for word in words)])
        self.capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        out, err = self.capsys.readouterr()
        return Ended(code, out, err)
