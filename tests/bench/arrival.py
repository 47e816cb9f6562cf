"""Benchmark of the arrival and device-health steps alone: `python -m tests.bench.arrival`.

Chunks of 50,000 reads of 20,000 tags by 8 readers whose clocks are 3 s ahead, 10 s of receive time each, with
running numbers. Prints reads per second of processor time, so that a busy machine does not count.
"""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analytics.steps.arrival import ArrivalStep
from analytics.steps.device_health import DeviceHealthStep
from devices.chunk import Chunk
from devices.schemas import READS, TIMESTAMP
from devices.site.model import Reader, Site

ROWS, CHUNKS, READERS, TAGS = 50_000, 30, 8, 20_000
START_US = 1_790_000_000_000_000
CHUNK_US = 10_000_000


def chunk(number: int, random: np.random.Generator) -> Chunk:
    """Return one chunk of the workload."""
    received_us = START_US + number * CHUNK_US + np.sort(random.integers(0, CHUNK_US, ROWS))
    reader_us = received_us - random.integers(1_000, 300_000, ROWS) + 3_000_000
    reader = random.integers(0, READERS, ROWS)
    seq = np.empty(ROWS, dtype=np.int64)
    for each in range(READERS):
        mine = reader == each
        seq[mine] = number * ROWS + np.arange(mine.sum())
    columns: dict[str, Any] = {
        "site": ["s"] * ROWS,
        "reader": [f"r{each}" for each in reader],
        "antenna": random.integers(1, 5, ROWS),
        "epc_hex": [f"3034257BF7194E40{tag:08X}" for tag in random.integers(0, TAGS, ROWS)],
        "event_time": reader_us,
        "received_time": received_us,
        "reader_time": reader_us,
        "event_time_source": ["read"] * ROWS,
        "rssi_dbm": -random.integers(3_000, 8_000, ROWS) / 100,
        "phase_deg": random.random(ROWS) * 360,
        "frequency_khz": random.integers(865_000, 868_000, ROWS),
        "tx_power_dbm": np.full(ROWS, 30.0),
        "source_seq": seq,
        "edge_id": ["e"] * ROWS,
        "edge_offset": 1 + number * ROWS + np.arange(ROWS),
        "edge_index": np.zeros(ROWS, dtype=np.int32),
    }
    batch = pa.RecordBatch.from_arrays([_column(columns.get(field.name), field) for field in READS], schema=READS)
    return Chunk(
        site="s",
        edge_id="e",
        first_offset=1 + number * ROWS,
        last_offset=(number + 1) * ROWS,
        batches={"reads": batch},
    )


def _column(values: npt.NDArray[Any] | list[str] | None, field: pa.Field) -> pa.Array:
    if values is None:
        return pa.nulls(ROWS, field.type)
    return pa.array(values).cast(TIMESTAMP) if field.type == TIMESTAMP else pa.array(values, field.type)


def main() -> None:
    """Run the workload and print what it took."""
    site = Site(id="s", readers=tuple(Reader(id=f"r{n}", profile="zebra", mqtt_topic=f"r{n}") for n in range(READERS)))
    random = np.random.default_rng(1)
    chunks = [chunk(number, random) for number in range(CHUNKS)]
    arrival, health = ArrivalStep(), DeviceHealthStep()
    state, health_state = arrival.initial(site), health.initial(site)
    took: dict[str, list[float]] = {"arrival": [], "device_health": []}
    for each in chunks:
        began = time.process_time()
        state, arrived = arrival.step(state, each, site)
        between = time.process_time()
        health_state, _ = health.step(health_state, arrived, site)
        took["arrival"].append(between - began)
        took["device_health"].append(time.process_time() - between)
    for name, seconds in took.items():
        warm = seconds[1:]  # the first chunk loads compiled kernels
        mean = ROWS * len(warm) / sum(warm)
        print(f"{name:14} {mean / 1e6:5.2f} M reads/s mean, {ROWS / min(warm) / 1e6:5.2f} best of {len(warm)}")
    began = time.process_time()
    blob = arrival.dump(state)
    print(f"arrival state  {len(blob) / 1e6:5.1f} MB, dumped in {time.process_time() - began:.2f} s")


if __name__ == "__main__":
    main()
