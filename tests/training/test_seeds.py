"""Random streams: each its own, each restored exactly, none moved by another's draws."""

import io

import torch

from lnlbench.training.seeds import Streams, derive

CPU = torch.device("cpu")


def draws(streams: Streams) -> tuple[list[float], float, float]:
    return torch.rand(3, generator=streams.tensors).tolist(), streams.scalars.beta(4, 4), torch.rand(()).item()


def test_seeds_differ_by_purpose_index_and_job() -> None:
    made = [derive(s, p, i) for s in range(3) for p in ("weights", "tensors", "scalars") for i in range(4)]
    assert len(set(made)) == len(made)
    assert all(0 <= seed < 2**63 for seed in made)


def test_seeds_are_the_same_on_every_machine_and_version() -> None:
    assert derive(1, "weights", 0) == 139911415592349810


def test_one_seed_gives_the_same_draws_and_another_does_not() -> None:
    assert draws(Streams(1, CPU)) == draws(Streams(1, CPU))
    assert all(a != b for a, b in zip(draws(Streams(1, CPU)), draws(Streams(2, CPU)), strict=True))


def test_a_draw_from_one_stream_moves_no_other() -> None:
    plain = draws(Streams(1, CPU))
    streams = Streams(1, CPU)
    torch.rand(100, generator=streams.tensors)
    assert draws(streams)[1:] == plain[1:]
    streams = Streams(1, CPU)
    streams.scalars.random(100)
    torch.rand(100)
    assert draws(streams)[0] == plain[0]


def test_the_state_survives_a_safe_file_and_continues_every_stream() -> None:
    streams = Streams(1, CPU)
    draws(streams)
    streams.scalars.integers(7, dtype="uint32")  # leaves half a 64-bit draw behind
    file = io.BytesIO()
    torch.save(streams.state(), file)
    expected = draws(streams), int(streams.scalars.integers(7, dtype="uint32"))
    file.seek(0)
    other = Streams(2, CPU)
    other.restore(torch.load(file, weights_only=True))
    assert (draws(other), int(other.scalars.integers(7, dtype="uint32"))) == expected


def test_a_saved_state_does_not_move_with_its_streams() -> None:
    streams = Streams(1, CPU)
    state = streams.state()
    expected = draws(streams)
    draws(streams)
    streams.restore(state)
    assert draws(streams) == expected
