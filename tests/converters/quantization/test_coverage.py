from __future__ import annotations

import pytest

from tests.converters.quantization.lintable import Body, conv, head, looked_at


def test_coverage_says_what_is_clipped_and_how_many_steps_count() -> None:
    body: Body = lambda image: head(conv(image, "first"))  # noqa: E731
    whole, clipped = (looked_at(body, ranges=ranges)[1]["first"] for ranges in ("min-max", "moving-average"))
    for each in (whole, clipped):
        assert (each.dtype, each.steps) == ("int8", 256)
        assert each.seen_low < 0 < each.seen_high
    assert whole.saturated_share == 0
    assert whole.low == pytest.approx(whole.seen_low, abs=(whole.high - whole.low) / 255)
    assert 32 < whole.used_steps <= 256
    assert clipped.high - clipped.low < whole.high - whole.low
    assert 0 < clipped.saturated_share < 0.1


def test_int16_has_its_own_steps() -> None:
    _, covered = looked_at(lambda image: head(conv(image, "first")), mode="int16x8")
    assert {each.steps for each in covered.values()} == {1 << 16}
    assert covered["first"].used_steps > 1000
