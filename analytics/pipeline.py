"""A site's pipeline: the arrival step and the jobs behind it, as one function of chunks.

Runners know this module and nothing behind it. Laws 1 to 3 of `analytics.step` hold for the whole: cutting the same
rows into other chunks gives the same rows in every table. Within a table that several steps write to (device events
and alerts), rows of one step keep their order, while those of different steps may interleave differently.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pyarrow as pa

from analytics.schemas import TABLES
from analytics.step import Arrived, Outputs, Step
from analytics.steps.arrival import ArrivalStep
from analytics.steps.state_bytes import StateVersionError
from devices.chunk import Chunk
from devices.errors import TagtideError
from devices.site.model import Site

_VERSION = 2


class StateError(TagtideError):
    """A checkpoint's state cannot be used by this version of the program."""

    code = "state_unreadable"


class _Head(msgspec.Struct, array_like=True, frozen=True):
    """The part of a container that every version has."""

    version: int
    site: str


class _Container(msgspec.Struct, array_like=True, frozen=True):
    """What `SitePipeline.dump` writes, as msgpack: the version comes first."""

    version: int
    site: str
    steps: dict[str, bytes]
    digest: bytes
    """Of the rest. SQLite does not notice bits that a disk has turned, and steps index arrays by what they load."""


@dataclass(slots=True)
class _Running:
    step: Step[Any]
    state: Any


def default_steps() -> list[Step[Any]]:
    """Return the jobs of the product, in the order in which they see a chunk."""
    from analytics.steps.aggregation import AggregationStep
    from analytics.steps.counts import CountsStep
    from analytics.steps.device_health import DeviceHealthStep  # numba behind them: loaded where jobs run
    from analytics.steps.gate import GateStep
    from analytics.steps.inventory import InventoryStep
    from analytics.steps.location import LocationStep
    from analytics.steps.shelf import ShelfStep

    return [
        LocationStep(),
        AggregationStep(),
        ShelfStep(),
        GateStep(),
        CountsStep(),
        InventoryStep(),
        DeviceHealthStep(),
    ]


class SitePipeline:
    """Takes a site's chunks in and gives the rows to land."""

    def __init__(self, site: Site, steps: Sequence[Step[Any]] | None = None) -> None:
        """Begin with nothing seen.

        Args:
            site: The site file.
            steps: Jobs behind the arrival step; those of `default_steps` where absent.
        """
        self.site = site
        self._arrival = ArrivalStep()
        self._arrival_state = self._arrival.initial(site)
        jobs = default_steps() if steps is None else steps
        self._jobs = [_Running(step, step.initial(site)) for step in jobs]
        self.repeats: dict[str, int] = {}
        """Rows dropped as repeats since the pipeline was made, by stream."""
        names = [self._arrival.name, *(job.step.name for job in self._jobs)]
        assert len(set(names)) == len(names), f"steps share a name: {names}"

    def process(self, chunk: Chunk) -> Outputs:
        """Take one chunk in.

        Args:
            chunk: Decoded rows of this site, following on from the chunk before.

        Returns:
            Rows to land, by table; tables without rows are left out.
        """
        assert chunk.site == self.site.id, f"chunk of {chunk.site} in the pipeline of {self.site.id}"
        self._arrival_state, arrived = self._arrival.step(self._arrival_state, chunk, self.site)
        self._count_repeats(chunk, arrived)
        derived = _merged([arrived.derived])
        for job in self._jobs:
            job.state, outputs = job.step.step(job.state, replace(arrived, derived=derived), self.site)
            derived = _merged([derived, outputs])
        return _merged([_canonical(arrived), derived])

    def _count_repeats(self, chunk: Chunk, arrived: Arrived) -> None:
        for stream, batch in chunk.batches.items():
            kept = arrived.batches.get(stream)
            dropped = batch.num_rows - (0 if kept is None else kept.num_rows)
            self.repeats[stream] = self.repeats.get(stream, 0) + dropped

    def dump(self) -> bytes:
        """Turn everything that is remembered to bytes."""
        steps = {self._arrival.name: self._arrival.dump(self._arrival_state)}
        steps |= {job.step.name: job.step.dump(job.state) for job in self._jobs}
        digest = _digest(self.site.id, steps)
        return msgspec.msgpack.encode(_Container(version=_VERSION, site=self.site.id, steps=steps, digest=digest))

    def load(self, blob: bytes) -> tuple[str, ...]:
        """Go on from what `dump` returned.

        Args:
            blob: Bytes of a pipeline of the same site.

        Returns:
            What a person should know: steps that begin anew because the bytes hold nothing for them, and steps in
            the bytes that this pipeline does not have.

        Raises:
            StateError: The bytes are not a pipeline's, or of another version, or of another site. The pipeline is
                as it was then.
        """
        container = self._container(blob)
        stored = dict(container.steps)
        warnings = [
            f"site {self.site.id}: no stored state for step '{name}': it begins with nothing seen"
            for name in (self._arrival.name, *(job.step.name for job in self._jobs))
            if name not in stored
        ]
        arrival = self._state_of(self._arrival, stored.pop(self._arrival.name, None))
        states = [self._state_of(job.step, stored.pop(job.step.name, None)) for job in self._jobs]
        self._arrival_state = arrival
        for job, state in zip(self._jobs, states, strict=True):
            job.state = state
        warnings += [f"site {self.site.id}: stored state of step '{name}' is not used: no such step" for name in stored]
        return tuple(warnings)

    def _container(self, blob: bytes) -> _Container:
        try:
            version = msgspec.msgpack.decode(blob, type=_Head).version
            container = msgspec.msgpack.decode(blob, type=_Container) if version == _VERSION else None
        except (ValueError, RecursionError) as error:  # ValueError: also text that is not UTF-8
            raise StateError(f"stored state of site {self.site.id} is damaged: {error}", hint=_ANEW) from error
        if container is None:
            raise StateError(
                f"stored state of site {self.site.id} has version {version}, this program writes {_VERSION}",
                hint=_ANEW,
                code="state_version",
            )
        if container.digest != _digest(container.site, container.steps):
            raise StateError(f"stored state of site {self.site.id} is damaged: its digest is another", hint=_ANEW)
        if container.site != self.site.id:
            raise StateError(f"stored state is of site {container.site}, not of {self.site.id}", hint=_ANEW)
        return container

    def _state_of(self, step: Any, blob: bytes | None) -> Any:
        if blob is None:
            return step.initial(self.site)
        try:
            return step.load(blob, self.site)
        except StateVersionError as error:
            raise StateError(
                f"stored state of step '{step.name}' of site {self.site.id}: {error}", hint=_ANEW, code="state_version"
            ) from error
        except MemoryError:
            raise
        except Exception as error:
            # A step whose state's layout changed without a new version fails in any way at all: a missing key, an
            # array of another shape. Whoever starts the jobs is to read what to do, not a traceback.
            raise StateError(
                f"stored state of step '{step.name}' of site {self.site.id} cannot be read: "
                f"{type(error).__name__}: {error}",
                hint=_ANEW,
            ) from error


def _digest(site: str, steps: Mapping[str, bytes]) -> bytes:
    digest = hashlib.blake2b(site.encode("utf-8", "surrogatepass"), digest_size=16)
    for name, blob in steps.items():
        digest.update(f"\0{name}\0{len(blob)}\0".encode("utf-8", "surrogatepass") + blob)
    return digest.digest()


_ANEW = "run the version of Tagtide that wrote it, or replay the edge log into a new data directory"


def _canonical(arrived: Arrived) -> dict[str, pa.Table]:
    return {name: pa.Table.from_batches([batch]) for name, batch in arrived.batches.items()}


def _merged(parts: Iterable[Mapping[str, pa.Table]]) -> dict[str, pa.Table]:
    """Put rows for the same table one after the other; assert that they have its schema."""
    tables: dict[str, list[pa.Table]] = {}
    for part in parts:
        for name, table in part.items():
            assert table.schema.equals(TABLES[name]), f"{name}: {table.schema} is not {TABLES[name]}"
            if table.num_rows:
                tables.setdefault(name, []).append(table)
    return {name: pa.concat_tables(pieces) for name, pieces in tables.items()}
