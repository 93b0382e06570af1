"""Pauses double up to a limit and differ from node to node."""

import random

from genrewatch.host.backoff import Backoff


def test_pauses_double_up_to_the_limit_and_are_drawn_from_the_upper_half():
    backoff, rng = Backoff(first_s=1.0, max_s=5.0), random.Random(1)
    pauses = [backoff.delay_s(failures, rng) for failures in range(1, 7)]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, [1, 2, 4, 5, 5, 5], strict=True))
    assert 2.5 <= backoff.delay_s(100_000, rng) <= 5
    assert len({backoff.delay_s(9, rng) for _ in range(10)}) == 10
