"""The ideal observer: what one who knows the simulator's laws, and none of its draws, can know of where items are.

`laws` turns the configuration to probabilities of reads, `movement` to rates of picking up, walking and putting down,
`cells` cuts the floor; `kernel` is the filter, `watching` runs it over a day's reads. `docs/evaluation.md` says what it
neglects.
"""

from simulators.observer.watching import Observation, Precision, observe

__all__ = ["Observation", "Precision", "observe"]
