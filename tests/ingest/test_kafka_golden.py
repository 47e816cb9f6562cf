"""Records of version 1 as they were written when it was current: every later Tagtide reads them.

`tests/golden/kafka_records/v1/chunk.json` says what the chunk holds, `records.jsonl` has its Kafka records. The
latter is a contract with what is kept in Kafka, written once with `python -m tests.ingest.test_kafka_golden`.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from devices.chunk import Chunk, ClockMark
from devices.schemas import STREAMS
from ingest.kafka_records import ARROW_STREAMS, KafkaRecord
from tests.ingest.chunk_strategies import equal_chunks
from tests.ingest.test_kafka_records import received, sent

_CASE = Path(__file__).parent.parent / "golden" / "kafka_records" / "v1"


def test_records_of_version_1_are_read() -> None:
    *pieces, progress = _golden_records()
    assert equal_chunks(received(pieces, progress), _golden_chunk())


def test_records_of_version_1_are_written() -> None:
    pieces, progress = sent(_golden_chunk())
    for ours, golden in zip((*pieces, progress), _golden_records(), strict=True):
        assert (ours.topic, ours.key, ours.headers) == (golden.topic, golden.key, golden.headers)
        if ours.topic not in ARROW_STREAMS:  # pyarrow's releases may differ in how they pad
            assert ours.value == golden.value


def _golden_chunk() -> Chunk:
    case = json.loads((_CASE / "chunk.json").read_text(encoding="utf-8"))
    return Chunk(
        site=case["site"],
        edge_id=case["edge_id"],
        first_offset=case["first_offset"],
        last_offset=case["last_offset"],
        batches={
            stream: pa.RecordBatch.from_pylist([_row(row) for row in rows], schema=STREAMS[stream])
            for stream, rows in case["rows"].items()
        },
        clock=tuple(ClockMark(**mark) for mark in case["clock"]),
    )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    payload = row.pop("bytes_base64", None)
    return row if payload is None else {**row, "bytes": base64.b64decode(payload)}


def _golden_records() -> list[KafkaRecord]:
    lines = (_CASE / "records.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        KafkaRecord(
            topic=record["topic"],
            key=record["key"].encode(),
            value=base64.b64decode(record["value_base64"]) if "value_base64" in record else record["value"].encode(),
            headers=tuple((name, value.encode()) for name, value in record["headers"]),
        )
        for record in map(json.loads, lines)
    ]


def _write() -> None:
    pieces, progress = sent(_golden_chunk())
    with (_CASE / "records.jsonl").open("w", encoding="utf-8") as file:
        for record in (*pieces, progress):
            value = (
                {"value_base64": base64.b64encode(record.value).decode()}
                if record.topic in ARROW_STREAMS
                else {"value": record.value.decode()}
            )
            headers = [(name, content.decode()) for name, content in record.headers]
            file.write(
                json.dumps({"topic": record.topic, "key": record.key.decode(), "headers": headers, **value}) + "\n"
            )


if __name__ == "__main__":
    _write()
