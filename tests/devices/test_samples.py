"""Promise: payloads that real devices sent, and their vendors' examples, decode to what they mean.

The files are not in the repository; see `tests/shared_data.py`. Times were computed by hand from the payloads.
"""

import csv
import json
from datetime import UTC, datetime
from typing import ClassVar

import msgspec
import pytest

from devices.errors import DecodeError
from devices.observations import Decoded, DeviceEvent, Reading, TagRead
from devices.registry import PROFILES
from tests.devices.sources import a_source
from tests.shared_data import shared_path

SAMPLES = "reference/samples"
TAG = "E2806894000040017790E471"


def decode(profile: str, name: str, **antenna_ports: int) -> Decoded:
    payload = shared_path(f"{SAMPLES}/{profile}/{name}").read_bytes()
    return PROFILES[profile].decode(payload, "any/topic", a_source(profile, **antenna_ports))


def reads(profile: str, name: str, **antenna_ports: int) -> list[TagRead]:
    """Decode a file that holds reads and nothing else."""
    decoded = decode(profile, name, **antenna_ports)
    assert decoded == Decoded(reads=decoded.reads)
    return decoded.reads


def event(profile: str, name: str) -> DeviceEvent:
    """Decode a file that holds one device event and nothing else."""
    decoded = decode(profile, name)
    assert decoded == Decoded(device_events=decoded.device_events)
    (found,) = decoded.device_events
    return found


def us(*fields: int, microsecond: int = 0) -> int:
    """Return year, month, day, hour, minute, second, UTC, in microseconds since the epoch."""
    return int(datetime(*fields, tzinfo=UTC).timestamp()) * 1_000_000 + microsecond  # type: ignore[misc, arg-type]


def extra_of(row: TagRead) -> object:
    return None if row.extra is None else json.loads(row.extra)


class TestImpinj:
    def test_default_fields_of_a_european_reader(self) -> None:
        assert reads("impinj", "r700_mqtt_default_fields_866MHz.json") == [
            TagRead(
                epc_hex="8A450224",
                antenna=3,
                reader_time_us=us(2026, 2, 26, 17, 13, 37, microsecond=432_087),
                event_time_source="report",
                rssi_dbm=-74.0,
                frequency_khz=866_900,
                tx_power_dbm=31.5,
                read_count=1,
            )
        ]

    def test_default_fields_of_an_american_reader_with_an_underscore_in_base64(self) -> None:
        assert reads("impinj", "r700_stream_default_fields_919MHz.json") == [
            TagRead(
                epc_hex="E2801191A5030065F26CCBFF",
                antenna=1,
                reader_time_us=us(2025, 5, 17, 16, 3, 13, microsecond=944_189),
                event_time_source="report",
                rssi_dbm=-73.0,
                frequency_khz=919_750,
                tx_power_dbm=30.0,
                read_count=1,
            )
        ]

    def test_all_fields(self) -> None:
        (read,) = reads("impinj", "r700_all_fields_barnowl_SIMULATED.json")
        assert extra_of(read) == {"antennaName": "ANTENNA-NAME", "pc": "NAA=", "hostname": "impinj-01-23-45"}
        assert msgspec.structs.replace(read, extra=None) == TagRead(
            epc_hex="7EDA9038051002710002C0AE",
            antenna=1,
            reader_time_us=us(2022, 2, 22, 22, 22, 22, microsecond=222_000),
            event_time_source="read",
            rssi_dbm=-70.0,
            phase_deg=69.0,
            frequency_khz=927_250,
            tx_power_dbm=30.0,
            read_count=1,
            tid_hex="E2801170200014CD9B5A08EC",
        )

    def test_a_webhook_batch_has_read_times_and_no_signal_strength(self) -> None:
        assert reads("impinj", "r700_webhook_batch_2021.json", Portal1=1) == [
            TagRead(
                epc_hex=epc,
                antenna=1,
                reader_time_us=us(2021, 2, 2, 22, 18, 35, microsecond=microsecond),
                event_time_source="read",
                read_count=1,
            )
            for epc, microsecond in (
                ("E28011606000020A6681F23F", 499_734),
                ("E28011606000020A66846D40", 858_088),
                ("313630323030303120202020", 887_319),
            )
        ]

    @pytest.mark.parametrize("name", ["r700_preset_example.json", "api_1.7.0_constraints.json"])
    def test_what_is_no_event_is_rejected(self, name: str) -> None:
        with pytest.raises(DecodeError) as caught:
            decode("impinj", name)
        assert caught.value.code == "event_type_missing"


class TestZebra:
    def test_every_captured_mode_in_one_payload(self) -> None:
        assert [
            msgspec.structs.replace(read, extra=None) for read in reads("zebra", "fxr90_modes_captured.ndjson")
        ] == [
            TagRead(
                epc_hex=TAG,
                antenna=antenna,
                reader_time_us=us(2026, 9, 7, 12, *time[:2], microsecond=time[2]),
                event_time_source="read",
                rssi_dbm=rssi,
                phase_deg=phase,
                frequency_khz=frequency,
                read_count=count,
                source_seq=seq,
            )
            for seq, time, antenna, rssi, count, phase, frequency in (
                (5036, (50, 36, 194_000), None, None, None, None, None),  # SIMPLE
                (5059, (50, 55, 513_000), 1, -37.0, 1, None, None),  # INVENTORY
                (5113, (51, 29, 949_000), 1, None, None, None, None),  # CONVEYOR
                (5137, (51, 55, 441_000), None, None, None, None, None),  # CUSTOM, nothing asked for
                (4808, (29, 55, 456_000), None, None, None, None, None),  # CUSTOM, nothing asked for
                (4828, (30, 28, 390_000), 1, -37.0, 1, 14.029969215393066, 908_250),  # CUSTOM, everything asked for
            )
        ]

    def test_what_has_no_column_is_kept(self) -> None:
        kept = [extra_of(read) for read in reads("zebra", "fxr90_modes_captured.ndjson")]
        assert kept == [None] * 5 + [{"PC": "3000", "CRC": "f3b3", "accessResults": ["e280689420004001"]}]

    def test_phase_and_channel_of_a_european_reader(self) -> None:
        (read,) = reads("zebra", "fx_custom_phase_866MHz.json")
        assert (read.epc_hex, read.antenna, read.rssi_dbm) == ("AA0004EF55555555AA21BF43", 1, -34.0)
        assert (read.phase_deg, read.frequency_khz, read.source_seq) == (148.039794921875, 866_300, 22)

    def test_a_batch_in_local_time(self) -> None:
        found = [(read.source_seq, read.reader_time_us) for read in reads("zebra", "fx_simple_batch_array.json")]
        assert found == [
            (1759, us(2023, 4, 3, 19, 50, 16, microsecond=699_000)),
            (1762, us(2023, 4, 3, 19, 50, 18, microsecond=699_000)),
        ]

    def test_every_documented_field(self) -> None:
        (read,) = reads("zebra", "ziotc_docs_tagDataEvent_all_fields.json")
        assert extra_of(read) == {
            "PC": "3000",
            "CRC": "b06a",
            "USER": "123433331234567812345678",
            "XPC": "string",
            "accessResults": ["SUCCESS"],
        }
        assert msgspec.structs.replace(read, extra=None) == TagRead(
            epc_hex="3005FB63AC1F3681EC880468",
            antenna=1,
            reader_time_us=us(2019, 8, 24, 14, 15, 22),
            event_time_source="read",
            rssi_dbm=-39.0,
            phase_deg=0.0,
            frequency_khz=911_750,
            read_count=1,
            tid_hex="E20060030178529D",
            source_seq=1,
        )

    def test_access_results_with_an_error_in_them(self) -> None:
        good, bad = reads("zebra", "ziotc_docs_accessResults.ndjson")
        assert extra_of(good) == {"accessResults": ["1234", "Success", "bbbb"]}
        assert extra_of(bad) == {
            "accessResults": ["1234", "Error: tag returned error code 0x04 = Memory locked", "Not Attempted"]
        }
        assert good.reader_time_us == us(2023, 5, 1, 5, 55, 44, microsecond=625_000)

    def test_a_sleds_batch(self) -> None:
        (read,) = reads("zebra", "rfd40_dataEVT_docs.json")
        assert (read.epc_hex, read.antenna, read.read_count) == ("BEDD11112222333344445555", None, 1)
        assert read.tid_hex == "E2003412013BFD000B4E16D21D030143000D5FFBFFFFDC60"
        assert read.event_time_source == "report"

    def test_a_heartbeat(self) -> None:
        found = event("zebra", "fx9600_heartbeat_captured.json")
        assert (found.event, found.source_seq, found.count) == ("heartbeat", 328, 0)
        assert found.reader_time_us == us(2023, 3, 1, 13, 57, 29, microsecond=126_000)
        detail = json.loads(found.detail or "")
        assert detail["radio_control"]["antennas"]["4"] == "connected"
        assert detail["system"]["temperature"] == {"ambient": 23, "pa": 21}

    def test_an_output_pin(self) -> None:
        found = event("zebra", "fxr60_gpo_captured.json")
        assert (found.event, found.source_seq) == ("gpo", 9)
        assert json.loads(found.detail or "") == {"pin": 1, "state": "HIGH", "component": "RG"}

    def test_a_bluetooth_advertisement_is_no_read(self) -> None:
        found = event("zebra", "fxr90_ble_data_captured.json")
        assert (found.event, found.source_seq) == ("ble", 1900)
        assert found.reader_time_us == us(2026, 9, 7, 12, 53, 7, microsecond=484_000)
        assert json.loads(found.detail or "")["eddystone"]["temperature"] == -5.0

    def test_a_zone_history(self) -> None:
        found = event("zebra", "zone_history_docs.json")
        assert (found.event, found.detail) == ("other", '{"Zone":2}')
        assert found.reader_time_us == 1_699_540_400_724_000

    def test_a_configuration_is_no_event(self) -> None:
        with pytest.raises(DecodeError) as caught:
            decode("zebra", "ziotc_docs_reader_gateway_config.json")
        assert caught.value.code == "type_missing"


class TestShelf:
    """Open shelf scales. The other files there name products, which belong in a site file."""

    VALUES: ClassVar[dict[str, tuple[bytes, DeviceEvent | Reading]]] = {
        "state": (b"0", DeviceEvent(event="lost")),
        "mass": (b"1.67", Reading(quantity="mass", value=1.67, unit="KGM")),
        "touched": (b"1", Reading(quantity="touched", value=1.0, unit="C62")),
        "raw": (b"8388607", DeviceEvent(event="other", detail='{"raw":8388607.0}')),
        "i2c_address": (b"9", DeviceEvent(event="other", detail='{"i2c_address":9.0}')),
    }

    def test_every_topic_that_a_scale_publishes(self) -> None:
        with shared_path(f"{SAMPLES}/shelf/zeitlos_homie_topics.csv").open(newline="") as file:
            topics = [row["topic"] for row in csv.DictReader(file)]
        seen = set()
        for topic in topics:
            level = topic.rpartition("/")[2]
            payload, expected = self.VALUES.get(level, (b"3", DeviceEvent(event="other", detail=f'{{"{level}":3.0}}')))
            if "/cmd/" in topic:
                continue  # a command to the scale, not a report of it
            decoded = PROFILES["weight"].decode(payload, topic, a_source("weight"))
            rows: list[object] = [*decoded.readings, *decoded.device_events]
            assert rows == [expected], topic
            seen.add(level)
        assert seen >= self.VALUES.keys()

    def test_designs_without_a_device_are_rejected_each_with_its_reason(self) -> None:
        for line in shared_path(f"{SAMPLES}/shelf/smartretailnet_messages.ndjson").read_text().splitlines():
            with pytest.raises(DecodeError) as caught:
                PROFILES["tagtide"].decode(json.dumps(json.loads(line)["payload"]).encode(), "t", a_source("tagtide"))
            assert caught.value.code == "type_missing"
