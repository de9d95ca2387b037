"""What goes over the pipes comes out as it went in, one line each; other lines are no events."""

from __future__ import annotations

import pytest

from lnlbench.execution.protocol import Event, WorkerConfig


def test_a_configuration_comes_out_as_it_went_in() -> None:
    config = WorkerConfig(
        name="host-1",
        database="/a b/ü.sqlite",
        keys=("k1", "k2"),
        data_dir="/data",
        runs_dir="/runs",
        threads=3,
        checkpoint_minutes=0.5,
        resume=False,
        plugins=("/mine.py",),
    )
    line = config.to_line()
    assert "\n" not in line
    assert WorkerConfig.from_line(line) == config


def test_an_event_comes_out_as_it_went_in_line_breaks_included() -> None:
    event = Event("end", "host-1", "key", {"status": "failed", "error": "first line\nsecond", "best": 91.25})
    assert "\n" not in event.to_line()
    assert Event.from_line(event.to_line()) == event


@pytest.mark.parametrize("line", ["", "\n", "Downloading ...", "3", "null", "[1, 2]", "{}", '{"kind": "end"}', '{"a'])
def test_a_line_that_is_no_event_is_none(line: str) -> None:
    assert Event.from_line(line) is None
