"""Sequences: publications of all devices in any order, at any times, through every step and into the lake."""

import random

import msgspec

from devices.publication import CLOCK_TOPIC, LoggedPublication, Publication
from devices.timestamps import TIME_US_MAX, TIME_US_MIN
from tests.fuzz import decoding, landing, seeds
from tests.fuzz.target import Outcome

_NOW_US = decoding.RECEIVED_US
_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US
_STEPS_US = [
    0,
    1,
    1_000,
    _SECOND_US,
    2 * _SECOND_US,
    61 * _SECOND_US,
    3_600 * _SECOND_US,
    _DAY_US,
    400 * _DAY_US,
    -5_000_000,
]
_LAGS_US = [0, 0, 0, 100_000, 30 * _SECOND_US, 3_600 * _SECOND_US, 2 * _DAY_US, -_SECOND_US, -_DAY_US, -400 * _DAY_US]
_TIMES_US = [TIME_US_MIN, -1, 0, 1, TIME_US_MAX - 1, 1_262_304_000_000_000]
_COUNTS = [0, 1, 2, 7, 255, 2**31, 2**53 + 1, 2**62, 2**63 - 1]
_QUANTITIES = [1, 1, 2, 3, 40, 10_001, 10**9, -1, 0]
_GTINS = ["09506000134352", "00000000000000", "04006381333931", "96385074"]
_EVENTS = ["book_stock", "sale", "return", "receipt", "transfer_in", "transfer_out", "adjustment", "expected"]
_STATUSES = ["connected", "lost", "heartbeat", "overflow", "disconnected", "odd", "gap"]

_Sent = tuple[str, bytes, int]
_WIRE = msgspec.msgpack.Decoder(list[_Sent])


class PipelineTarget:
    """Every step, fed by what decoders accept."""

    name = "pipeline"
    reads = "sequences of publications of all dialects at any times; laws of chunking and of states; the lake"

    def __init__(self) -> None:
        self._checked = 0

    def make(self, rng: random.Random) -> bytes:
        """Return topics, payloads and receive times as msgpack."""
        now_us = rng.choice([_NOW_US, _NOW_US, _NOW_US, TIME_US_MIN, 0, TIME_US_MAX - 500 * _DAY_US])
        sent: list[_Sent] = []
        epcs = [f"{rng.getrandbits(rng.choice([8, 96, 496])):02X}" for _ in range(rng.choice([1, 5, 40]))]
        epcs = [epc if len(epc) % 2 == 0 else "0" + epc for epc in epcs] + ["3034257BF7194E4000001A85", "30" * 62]
        pace = [rng.choice(_STEPS_US), 0, rng.choice(_STEPS_US[:5])]
        for _ in range(rng.choice([1, 10, 60, 200])):
            now_us = min(max(now_us + rng.choice(pace) + rng.randrange(1_000), TIME_US_MIN), TIME_US_MAX - 1)
            sent.append((*_publication(rng, now_us, epcs), now_us))
        return msgspec.msgpack.encode(sent)

    def check(self, data: bytes) -> Outcome:
        """Decode the sequence and run it whole, and cut with its states reloaded."""
        publications = [
            LoggedPublication(
                edge_offset=offset, publication=Publication(topic=topic, payload=payload, received_us=received_us)
            )
            for offset, (topic, payload, received_us) in enumerate(_WIRE.decode(data), start=1)
        ]
        if not publications:
            return Outcome()
        chunks = landing.decoded(publications)
        tables = landing.processed(chunks)
        self._checked += 1
        last = publications[-1].edge_offset
        landing.check_chunking(tables, chunks, [last // 3, 2 * last // 3])
        if self._checked % 10 == 1:
            landing.land(tables)
        rejects = [code for chunk in chunks for code in chunk.batch("rejects")["reason_code"].to_pylist()]
        return Outcome(rows=sum(chunk.rows for chunk in chunks) - len(rejects), rejects=rejects)

    def settle(self) -> None:
        """Sequences have nothing to do with one another."""


def _publication(rng: random.Random, now_us: int, epcs: list[str]) -> tuple[str, bytes]:
    said_us = rng.choice(_TIMES_US) if rng.random() < 0.05 else now_us - rng.choice(_LAGS_US) - rng.randrange(3) * 1_000
    said: dict[str, object] = {} if rng.random() < 0.15 else {"time_us": said_us}
    if rng.random() < 0.5:
        said["seq"] = rng.choice(_COUNTS)
    make = rng.choice([_reads, _reads, _reads, _status, _mass, _weight, _business, _business, _clock, _sample])
    return make(rng, said, epcs)


def _reads(rng: random.Random, said: dict[str, object], epcs: list[str]) -> tuple[str, bytes]:
    reads = [
        {
            "epc": rng.choice(epcs),
            "antenna": rng.choice([0, 1, 2, 3, 32_767]),
            **rng.choice([{}, {"rssi_dbm": rng.choice([-150, -60.5, 30])}, {"rssi_linear": rng.choice([0, 1e300])}]),
            **said,
        }
        for _ in range(rng.choice([1, 1, 3, 20]))
    ]
    return landing.topic_of("tagtide", rng.choice(landing.CLOCKS)), _json({"type": "reads", "reads": reads})


def _status(rng: random.Random, said: dict[str, object], epcs: list[str]) -> tuple[str, bytes]:  # noqa: ARG001
    count = {} if rng.random() < 0.3 else {"count": rng.choice(_COUNTS)}
    status = {"type": "status", "status": rng.choice(_STATUSES), **said, **count}
    return landing.topic_of("tagtide", rng.choice(landing.CLOCKS)), _json(status)


def _mass(rng: random.Random, said: dict[str, object], epcs: list[str]) -> tuple[str, bytes]:  # noqa: ARG001
    value = rng.choice([0, 0.41, 1e6, -1e6, 3.3, 1e-300, 1e12, -1.0])
    quantity = rng.choice(["mass", "temperature", "count", "touched", "odd"])
    unit = {"unit": "C62"} if quantity == "odd" else {}
    return "tagtide/shelf/events", _json({"type": "measurement", "quantity": quantity, "value": value, **unit, **said})


def _weight(rng: random.Random, said: dict[str, object], epcs: list[str]) -> tuple[str, bytes]:  # noqa: ARG001
    payload = rng.choice([b"0", b"1", b"0.41", b"8.2", b"-1000000", b"1e6", b"1e-300"])
    return landing.topic_of("weight", last=rng.choice(landing.WEIGHT_TOPICS)), payload


def _business(rng: random.Random, said: dict[str, object], epcs: list[str]) -> tuple[str, bytes]:
    event = {"type": "business", "event": rng.choice(_EVENTS), "id": f"{rng.getrandbits(20)}", **said}
    if rng.random() < 0.4:
        named: dict[str, object] = {"epcs": rng.sample(epcs, min(3, len(epcs)))}
    else:
        named = {"gtin": rng.choice(_GTINS), "quantity": rng.choice(_QUANTITIES)}
    return "tagtide/feed/events", _json({**event, **named})


def _clock(rng: random.Random, said: dict[str, object], epcs: list[str]) -> tuple[str, bytes]:  # noqa: ARG001
    return CLOCK_TOPIC, b""


def _sample(rng: random.Random, said: dict[str, object], epcs: list[str]) -> tuple[str, bytes]:  # noqa: ARG001
    profile = rng.choice(["impinj", "zebra"])
    return landing.topic_of(profile, rng.choice(landing.CLOCKS)), rng.choice(seeds.payloads(profile))


def _json(document: dict[str, object]) -> bytes:
    return msgspec.json.encode(document)
