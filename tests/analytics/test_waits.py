"""How long the arrival step waits for late reads: as long as they are late at the site, and no longer than allowed."""

import numpy as np
import pytest

from analytics.step import Arrived
from analytics.steps import clocks as ck
from analytics.steps.arrival import ArrivalState, ArrivalStep
from devices.site.model import Reader, Site
from tests.analytics.chunk_building import Sayings, us
from tests.analytics.step_laws import cut

SITE = Site(id="s", readers=tuple(Reader(id=name, profile="tagtide", mqtt_topic=name) for name in ("r1", "r2")))
STEP = ArrivalStep()


def traffic(said: Sayings, start: int, stop: int, behind_s: float) -> Sayings:
    """Each second one reader reads thrice, live, and another sends two reads, of which one is so old."""
    for second in range(start, stop):
        for place in range(3):
            said.read(second + 0.3 * place, second + 0.3 * place, epc_hex=f"3{place}")
        times = {"40": second + 0.9, "41": second + 0.9 - behind_s}
        rows = [{"reader": "r2", "epc_hex": epc_hex, "reader_time": time} for epc_hex, time in times.items()]
        said.say("reads", second + 0.9, rows)
    return said


def arrive(said: Sayings, state: ArrivalState | None = None) -> tuple[ArrivalState, Arrived]:
    return STEP.step(state or STEP.initial(SITE), said.chunk(), SITE)


def late(arrived: Arrived) -> int:
    return sum(arrived.batches["reads"]["late"].to_pylist())


def test_until_there_is_evidence_it_waits_as_long_as_is_allowed() -> None:
    _, arrived = arrive(traffic(Sayings(), 0, 115, behind_s=0.0))
    assert arrived.wait_us == 2_000_000
    assert arrived.watermark_us == us(114.9 - 2.0)


def test_few_reads_are_no_evidence_however_long_they_take() -> None:
    said = Sayings()
    for minute in range(400):
        said.read(60.0 * minute, 60.0 * minute)
    assert arrive(said)[1].wait_us == 2_000_000


@pytest.mark.parametrize(("behind_s", "wait_s"), [(0.0, 0.1), (1.0, 1.2), (1.9, 2.0)])
def test_it_waits_for_as_long_as_reads_are_late_and_a_little(behind_s: float, wait_s: float) -> None:
    _, arrived = arrive(traffic(Sayings(), 0, 200, behind_s))
    assert arrived.wait_us == pytest.approx(wait_s * 1e6, abs=2)
    assert arrived.watermark_us == us(199.9) - arrived.wait_us
    assert late(arrived) == 0, "nothing was late for having to wait less"


def test_what_is_later_than_usual_is_late_and_waited_for_from_then_on() -> None:
    state, arrived = arrive(traffic(Sayings(), 0, 200, behind_s=0.5))
    assert arrived.wait_us == 650_000
    state, arrived = arrive(traffic(Sayings(), 200, 201, behind_s=1.4), state)
    assert (late(arrived), arrived.wait_us) == (1, 1_640_000)
    _, arrived = arrive(traffic(Sayings(), 201, 260, behind_s=1.4), state)
    assert late(arrived) == 0


def test_the_watermark_does_not_go_back_when_the_wait_grows() -> None:
    state, before = arrive(traffic(Sayings(), 0, 200, behind_s=0.5))
    _, after = arrive(traffic(Sayings(), 200, 201, behind_s=1.4), state)
    assert before.watermark_us == us(199.9 - 0.65)
    assert after.wait_us == 1_640_000
    assert after.watermark_us == us(200.9 - 0.65), "as far as it had come when the late read came"


def test_a_reader_that_sends_what_it_kept_for_minutes_is_not_waited_for() -> None:
    state, before = arrive(traffic(Sayings(), 0, 200, behind_s=0.5))
    _, after = arrive(Sayings().read(200.0, 50.0, reader="r2"), state)
    assert late(after) == 1
    assert after.wait_us == before.wait_us


def test_what_was_learnt_is_forgotten_slowly() -> None:
    _, arrived = arrive(traffic(traffic(Sayings(), 0, 125, behind_s=1.5), 125, 375, behind_s=0.0))
    assert arrived.wait_us == pytest.approx(1.1 * 0.9 * 0.9 * 1.5e6 + 1e5, rel=0.13), "a tenth in each of two windows"
    assert arrived.wait_us < 1_750_000


def test_neither_chunks_nor_checkpoints_change_it() -> None:
    chunk = traffic(traffic(Sayings(), 0, 150, behind_s=0.7), 150, 300, behind_s=1.3).chunk()
    _, whole = STEP.step(STEP.initial(SITE), chunk, SITE)
    state, effective, waits = STEP.initial(SITE), [], []
    for part in cut(chunk, [97, 350, 351, 700, 1003]):
        state, arrived = STEP.step(STEP.load(STEP.dump(state), SITE), part, SITE)
        effective.append(arrived.effective_us["reads"])
        waits.append(arrived.wait_us)
    assert (np.concatenate(effective) == whole.effective_us["reads"]).all()
    assert waits[-1] == whole.wait_us < waits[0]


def test_a_state_of_before_it_was_learnt_goes_on_with_what_is_allowed() -> None:
    state, _ = arrive(traffic(Sayings(), 0, 200, behind_s=0.5))
    state.site = state.site[: ck.WINDOW_SINCE]
    state = STEP.load(STEP.dump(state), SITE)
    assert ck.wait_us(state.site, 2_000_000) == 2_000_000
    assert arrive(traffic(Sayings(), 200, 205, behind_s=0.5), state)[1].watermark_us == us(204.9 - 2.0)
