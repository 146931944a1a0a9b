"""The longest delay of the event loop is shown for at least half a minute, and then forgotten."""

from prometheus_client import CollectorRegistry

from kit.loop_lag import WINDOW_SECONDS, LoopLag
from tests.support.clocks import ManualClock


def test_a_delay_is_shown_for_one_to_two_windows() -> None:
    registry, clock = CollectorRegistry(), ManualClock()
    lag = LoopLag(clock, registry, "onramp")

    def shown() -> float | None:
        return registry.get_sample_value("onramp_process_lag_seconds")

    assert shown() == 0
    lag.observe(0.7)
    lag.observe(0.1)
    assert shown() == 0.7
    clock.advance(WINDOW_SECONDS)
    lag.observe(0.2)
    assert shown() == 0.7, "the earlier window still counts"
    clock.advance(WINDOW_SECONDS)
    lag.observe(0.0)
    assert shown() == 0.2
