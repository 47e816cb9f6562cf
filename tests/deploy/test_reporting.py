"""Promise: a daemon's status line comes at its interval, with rates, and only where something changed."""

from deploy.reporting import STATUS_INTERVAL_S, Status


class Scene:
    """A status over a clock and a count that the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.reads = 5
        self.told: list[str] = []
        self.status = Status(
            lambda event: self.told.append(event.text),
            lambda: {"reads": self.reads, "rejects": 0},
            monotonic=lambda: self.now_s,
        )


def test_a_line_says_what_came_since_the_last() -> None:
    scene = Scene()
    scene.now_s += STATUS_INTERVAL_S
    scene.reads += 20_000
    scene.status.maybe("; receiving")
    assert scene.told == ["20,005 reads (+2,000/s), 0 rejects (+0/s); receiving"]
    scene.now_s += 2 * STATUS_INTERVAL_S
    scene.reads += 200
    scene.status.maybe()
    assert scene.told[1:] == ["20,205 reads (+10/s), 0 rejects (+0/s)"]


def test_not_before_its_time() -> None:
    scene = Scene()
    scene.reads += 1
    scene.now_s += STATUS_INTERVAL_S - 0.01
    scene.status.maybe()
    assert scene.told == []


def test_silence_says_nothing() -> None:
    scene = Scene()
    for _ in range(5):
        scene.now_s += STATUS_INTERVAL_S
        scene.status.maybe()
    assert scene.told == []
    scene.reads += 10
    scene.now_s += STATUS_INTERVAL_S
    scene.status.maybe()
    assert scene.told == ["15 reads (+1/s), 0 rejects (+0/s)"]
