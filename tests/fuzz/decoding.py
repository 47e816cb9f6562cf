"""Decoders: any payload gives rows or explained rejects, the same ones twice, and costs no neighbour anything."""

import random
import zlib
from collections.abc import Callable

import msgspec

from devices.chunk import Chunk
from devices.errors import DecodeError
from devices.observations import Decoded, Source
from devices.publication import CLOCK_TOPIC, LoggedPublication, Publication
from devices.registry import PROFILES
from tests.fuzz import landing, rejections, seeds
from tests.fuzz.mutation import Mutator
from tests.fuzz.target import Outcome, hold

RECEIVED_US = 1_773_480_420_000_000
GOOD_EVERY = 10
LAND_EVERY = 8
"""So many batches to one that goes into a lake: its commits take as long as decoding eight batches."""
CUT_EVERY = 4
"""So many batches to one that the pipeline takes a second time, in pieces."""
LOOK_CLOSER_EVERY = 4
"""So many inputs to one that is decoded again, and among neighbours."""

GOOD: dict[str, bytes] = {
    "impinj": b'{"timestamp":"2026-03-14T09:26:53.1Z","eventType":"tagInventory","tagInventoryEvent":'
    b'{"epcHex":"3034257BF7194E4000001A85","antennaPort":2,"peakRssiCdbm":-6150}}',
    "zebra": b'{"data":{"eventNum":4711,"format":"epc","idHex":"3034257bf7194e4000001a85","antenna":2,"peakRssi":-61},'
    b'"timestamp":"2026-03-14T09:26:53.100+0000","type":"SIMPLE"}',
    "tagtide": b'{"type":"read","epc":"3034257BF7194E4000001A85","antenna":2,"time":"2026-03-14T09:26:53.1Z"}',
    "weight": b"12.345",
}
"""A good payload of each dialect, to stand beside bad ones."""


class DecoderTarget:
    """One dialect's decoder, alone, in bulk, and with everything behind it."""

    def __init__(self, profile: str) -> None:
        self.name = profile
        self.reads = f"the {profile} decoder, then every step and the lake"
        self._decode = PROFILES[profile].decode
        self._mutate = Mutator(seeds.payloads(profile))
        self._foreign = Mutator(seeds.all_payloads())
        self._payloads: list[bytes] = []
        self._settled = 0
        topics = landing.WEIGHT_TOPICS if profile == "weight" else ("events",)
        self._routes = [
            (route.source, topic)
            for topic in [
                *(landing.topic_of(profile, last=last) for last in topics),
                *(landing.topic_of(profile, clock) for clock in landing.CLOCKS),
                *(["tagtide/shelf/events", "tagtide/feed/events"] if profile == "tagtide" else []),
            ]
            if (route := landing.DIRECTORY.route(topic)) is not None
        ]

    def make(self, rng: random.Random) -> bytes:
        """Return a mutated payload of this dialect; now and then of another."""
        return (self._foreign if rng.random() < 0.05 else self._mutate)(rng)

    def check(self, data: bytes) -> Outcome:
        """Decode a payload as every kind of device of the dialect may publish it, and beside neighbours."""
        kinds = len(self._routes) if self.name == "weight" else 1
        source, topic = self._routes[len(self._payloads) % len(self._routes)]
        outcome = Outcome()
        found = _decoded(self._decode, data, topic, source)
        for each_source, each_topic in self._routes[:kinds]:
            each = found if each_topic == topic or kinds == 1 else _decoded(self._decode, data, each_topic, each_source)
            outcome.rows += _rows(each)
            outcome.rejects += _codes(each)
        if zlib.crc32(data) % LOOK_CLOSER_EVERY == 0:
            again = _decoded(self._decode, data, topic, source)
            hold(_plain(found) == _plain(again), "the same payload decodes differently the second time")
            if self.name != "weight":
                self._check_neighbours(data, topic, source, found)
        self._payloads.append(data)
        return outcome

    def settle(self) -> None:
        """Decode all payloads in bulk among good ones, then run the pipeline over them and land its rows."""
        payloads, self._payloads = self._payloads, []
        if not payloads:
            return
        publications, good = self._publications(payloads)
        chunks = landing.decoded(publications)
        alone = landing.decoded([each for each in publications if each.edge_offset in good])
        for stream in ("reads", "readings"):
            beside = _of_offsets(chunks, stream, good)
            hold(beside == _of_offsets(alone, stream, good), f"bad publications changed {stream} of good ones")
        tables = landing.processed(chunks)
        self._settled += 1
        if self._settled % CUT_EVERY == 1:
            cuts = [publications[len(publications) * part // 5].edge_offset for part in (1, 3)]
            landing.check_chunking(tables, chunks, cuts)
        if self._settled % LAND_EVERY == 1:
            landing.land(tables)

    def _publications(self, payloads: list[bytes]) -> tuple[list[LoggedPublication], set[int]]:
        entries: list[tuple[str, bytes]] = []
        good: set[int] = set()
        for number, payload in enumerate(payloads):
            if number % GOOD_EVERY == 0:
                entries.append((self._routes[0][1], GOOD[self.name]))
                good.add(len(entries))
            entries.append((self._routes[number % len(self._routes)][1], payload))
        entries.append((CLOCK_TOPIC, b""))
        return [
            LoggedPublication(
                edge_offset=offset,
                publication=Publication(topic=topic, payload=payload, received_us=RECEIVED_US + 100_000 * offset),
            )
            for offset, (topic, payload) in enumerate(entries, start=1)
        ], good

    def _check_neighbours(self, data: bytes, topic: str, source: Source, alone: Decoded | DecodeError) -> None:
        """Hold the decoder to it that a bad part costs no other: behind a good one, and, as JSON, between two."""
        good = GOOD[self.name]
        wanted = msgspec.to_builtins(self._decode(good, topic, source).reads[0])
        if len(data) > 5_000:
            return
        behind = _decoded(self._decode, good + b"\n" + data, topic, source)
        hold(_first_read(behind) == wanted, "what follows a good document costs it its read")
        if not _is_object(data):
            return
        between = _decoded(self._decode, b"[" + good + b"," + data + b"," + good + b"]", topic, source)
        hold(isinstance(between, Decoded), "a bad element costs the whole array")
        assert isinstance(between, Decoded)
        reads = [msgspec.to_builtins(read) for read in between.reads]
        hold(reads[:1] == [wanted], "a bad element costs the one before it")
        hold(reads[-1:] == [wanted], "a bad element costs the one behind it")
        own_rows, own_rejects = _rows(alone), len(_codes(alone))
        hold(_rows(between) == own_rows + 2, f"{_rows(between)} rows in an array, {own_rows} alone")
        hold(len(between.rejects) == own_rejects, f"{len(between.rejects)} rejects in an array, {own_rejects} alone")


def _decoded(
    decode: Callable[[bytes, str, Source], Decoded], data: bytes, topic: str, source: Source
) -> Decoded | DecodeError:
    try:
        found = decode(data, topic, source)
    except DecodeError as error:
        hold(rejections.is_explained(error.code), f"docs/rejects.md does not explain {error.code}")
        hold(str(error).isprintable() and len(str(error)) < 1_000, f"the reason is not a short line: {error!a}")
        return error
    for reject in found.rejects:
        hold(rejections.is_explained(reject.reason_code), f"docs/rejects.md does not explain {reject.reason_code}")
        hold(len(reject.reason) < 1_000, "the reason is not short")
    return found


def _rows(found: Decoded | DecodeError) -> int:
    if isinstance(found, DecodeError):
        return 0
    return len(found.reads) + len(found.readings) + len(found.device_events) + len(found.business_events)


def _codes(found: Decoded | DecodeError) -> list[str]:
    return [found.code] if isinstance(found, DecodeError) else [reject.reason_code for reject in found.rejects]


def _plain(found: Decoded | DecodeError) -> object:
    return (found.code, str(found)) if isinstance(found, DecodeError) else repr(msgspec.to_builtins(found))


def _first_read(found: Decoded | DecodeError) -> object:
    return msgspec.to_builtins(found.reads[0]) if isinstance(found, Decoded) and found.reads else None


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(data), dict)
    except (ValueError, RecursionError):
        return False


def _of_offsets(chunks: list[Chunk], stream: str, offsets: set[int]) -> list[dict[str, object]]:
    return [
        row
        for chunk in chunks
        if chunk.site == landing.SITE.id
        for row in chunk.batch(stream).to_pylist()
        if row["edge_offset"] in offsets
    ]
