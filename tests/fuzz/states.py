"""Stored states: whatever the journal gives back loads, or is refused with what to do."""

import random
from dataclasses import replace
from typing import Any

import msgspec

from analytics.pipeline import SitePipeline, StateError, _digest
from devices.chunk import Chunk
from tests.fuzz import decoding, landing
from tests.fuzz.mutation import Mutator
from tests.fuzz.target import Outcome, hold

_ODD: list[Any] = [None, True, -1, 0, 2**63, 1.5, "", "x", b"", b"\xff", [], {}, [[]], {"a": 1}, "[", "[[1]]", "\ud7ff"]


class StateTarget:
    """The loader of checkpointed states, of the pipeline and of every step."""

    name = "state"
    reads = "checkpointed states: bits turned, and states of other layouts with a digest that fits"

    def __init__(self) -> None:
        self._chunks = [_chunk(payloads) for payloads in ("impinj", "tagtide", "zebra", "weight")]
        pipeline = SitePipeline(landing.SITE)
        self._blobs = [pipeline.dump()]
        for chunk in self._chunks[:1]:
            pipeline.process(chunk)
            self._blobs.append(pipeline.dump())
        self._mutate = Mutator(self._blobs)
        other = SitePipeline(replace(landing.SITE, readers=landing.SITE.readers[1:]))
        self._pipelines = [(each, each.dump()) for each in (SitePipeline(landing.SITE), other)]

    def make(self, rng: random.Random) -> bytes:
        """Return a state with bytes changed; or one that was put together otherwise, whose digest fits."""
        blob = rng.choice(self._blobs)
        if rng.random() < 0.3:
            return self._mutate.mutated_bytes(rng, blob)
        version, site, steps, _ = msgspec.msgpack.decode(blob)
        for _ in range(rng.choice([1, 1, 2])):
            name = rng.choice(sorted(steps)) if steps else "arrival"
            steps[name] = _changed(rng, steps.get(name, b""))
        if rng.random() < 0.2 and steps:
            del steps[rng.choice(sorted(steps))]
        return msgspec.msgpack.encode([version, site, steps, _digest(site, steps)])

    def check(self, data: bytes) -> Outcome:
        """Load a state; a refused one leaves the pipeline as it was."""
        outcome = Outcome()
        for pipeline, before in self._pipelines:
            try:
                pipeline.load(data)
                outcome.rows += 1
                pipeline.load(before)
            except StateError as error:
                hold(error.hint, "no hint")
                outcome.rejects.append(error.code)
                hold(pipeline.dump() == before, "a state that was refused has changed the pipeline")
        return outcome

    def settle(self) -> None:
        """States that are whole go on."""
        for blob in self._blobs:
            pipeline = SitePipeline(landing.SITE)
            hold(pipeline.load(blob) == (), "a whole state loads with a remark")
            pipeline.process(self._chunks[1])


def _changed(rng: random.Random, blob: bytes) -> bytes:
    """Change a step's state as another release might: a key less, another type, an array of another shape."""
    try:
        tree = msgspec.msgpack.decode(blob)
    except ValueError:
        return blob
    holder: Any = tree
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            break
        key = rng.choice(keys)
        child = holder[key]
        if isinstance(child, dict | list) and child and rng.random() < 0.75:
            holder = child
            continue
        kind = rng.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(child, int) and not isinstance(child, bool):
            holder[key] = child + rng.choice([-1, 1, 100])
        elif kind == 2 and isinstance(child, bytes):
            holder[key] = child[: rng.randrange(len(child) + 1)]
        else:
            holder[key] = rng.choice(_ODD)
        break
    return msgspec.msgpack.encode(tree)


def _chunk(profile: str) -> Chunk:
    target = decoding.DecoderTarget(profile)
    publications, _ = target._publications([decoding.GOOD[profile]] * 200)
    return next(chunk for chunk in landing.decoded(publications) if chunk.site == landing.SITE.id)
