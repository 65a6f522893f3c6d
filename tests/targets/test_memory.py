from __future__ import annotations

import mmap

from targets.memory import Growth, reset_peak, resident

MIB = 1 << 20


def test_resident_memory_follows_what_is_held_and_the_peak_what_was() -> None:
    reset_peak()
    before = resident()
    block = mmap.mmap(-1, 64 * MIB)  # goes back to the system when closed; what the allocator frees need not
    block.write(b"\1" * (64 * MIB))
    held = resident()
    assert held.now_bytes - before.now_bytes > 48 * MIB
    block.close()
    after = resident()
    assert after.now_bytes < held.now_bytes - 48 * MIB
    assert after.peak_bytes >= held.now_bytes - 4 * MIB
    reset_peak()
    assert resident().peak_bytes < held.now_bytes - 32 * MIB


def test_growth_is_never_negative_and_the_peak_never_below_the_load() -> None:
    found = Growth(before=100, loaded=150, peak=130).record(arena_bytes=7)
    assert (found.load_bytes, found.peak_bytes, found.arena_bytes) == (50, 50, 7)
    found = Growth(before=100, loaded=90, peak=95).record(arena_bytes=7)
    assert (found.load_bytes, found.peak_bytes) == (0, 0)
