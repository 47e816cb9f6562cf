"""Promise: a timestamp becomes the microsecond that it names, or an error that says why not."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.timestamps import TIME_US_MAX, TIME_US_MIN, TimestampError, check_time_us, parse_timestamp_us

NOON_US = int(datetime(2026, 3, 14, 12, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [
        ("2026-03-14T12:00:00Z", NOON_US),
        ("2026-03-14 12:00:00Z", NOON_US),
        ("2026-03-14T12:00:00.5Z", NOON_US + 500_000),
        ("2026-03-14T12:00:00.123Z", NOON_US + 123_000),
        ("2026-03-14T12:00:00.123456Z", NOON_US + 123_456),
        ("2026-03-14T12:00:00.123456999Z", NOON_US + 123_456),  # cut, not rounded
        ("2026-03-14T12:00:00.000000999999999Z", NOON_US),
        ("2026-03-14T12:00:00.194+0000", NOON_US + 194_000),
        ("2026-03-14T14:00:00.699+0200", NOON_US + 699_000),
        ("2026-03-14T17:30:00.1+05:30", NOON_US + 100_000),
        ("2026-03-14T08:30:00-0330", NOON_US),
        ("2026-03-14T12:00:00-00:00", NOON_US),
        ("2024-02-29T23:59:59.999999999Z", 1_709_251_199_999_999),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:30:00+0100", -1_800_000_000),
    ],
)
def test_shapes_that_devices_send(text: str, expected_us: int) -> None:
    assert parse_timestamp_us(text) == expected_us


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-03-14T12:00:00", "timestamp_without_zone"),
        ("2026-03-14T12:00:00.5", "timestamp_without_zone"),
        ("2026-03-14T12:00:00.123456", "timestamp_without_zone"),
        ("2026-03-14T12:00:00.123456789", "timestamp_without_zone"),
        ("2200-01-01T00:00:00Z", "timestamp_out_of_range"),
        ("9999-12-31T23:59:59Z", "timestamp_out_of_range"),
        ("1969-12-30T00:00:00Z", "timestamp_out_of_range"),
        ("", "timestamp_invalid"),
        ("Z", "timestamp_invalid"),
        ("now", "timestamp_invalid"),
        ("2026-03-14", "timestamp_invalid"),
        ("2026-03-14Z", "timestamp_invalid"),
        ("2026-02-30T12:00:00Z", "timestamp_invalid"),
        ("2026-03-14T24:00:00Z", "timestamp_invalid"),
        ("2026-03-14T12:00:60Z", "timestamp_invalid"),
        ("2026-03-14T12:00Z", "timestamp_invalid"),
        ("20260314T120000Z", "timestamp_invalid"),
        ("2026-W11-6T12:00:00Z", "timestamp_invalid"),
        ("2026-03-14T12:00:00.Z", "timestamp_invalid"),
        ("2026-03-14T12:00:00,5Z", "timestamp_invalid"),
        ("2026-03-14T12:00:00.12_3Z", "timestamp_invalid"),
        ("2026-03-14T12:00:00.123 Z", "timestamp_invalid"),
        ("2026-03-14T12:00:00z", "timestamp_invalid"),
        ("2026-03-14T12:00:00+24:00", "timestamp_invalid"),
        ("2026-03-14T12:00:00+0060", "timestamp_invalid"),
        ("2026-03-14T12:00:00+1", "timestamp_invalid"),
        ("2026-03-14T12:00:00.5+1:00", "timestamp_invalid"),
        ("2026-03-14T12:00:00+01:00:30", "timestamp_invalid"),
        ("2026-03-14\ud80012:00:00Z", "timestamp_invalid"),
        ("2026-03-14T12:00:00Z\n", "timestamp_invalid"),
        ("٢٠٢٦-03-14T12:00:00Z", "timestamp_invalid"),
        ("03/14/2026 12:00", "timestamp_invalid"),
        ("1773480413589", "timestamp_invalid"),
    ],
)
def test_everything_else_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(TimestampError) as caught:
        parse_timestamp_us(text)
    assert caught.value.code == code


@pytest.mark.slow
@given(
    st.integers(0, TIME_US_MAX - 86_400_000_000),  # the limit is on the time as it is written, before its zone
    st.integers(-23 * 60, 23 * 60),
    st.sampled_from(["", ":"]),
    st.sampled_from(["auto", "milliseconds", "microseconds"]),
)
def test_it_agrees_with_the_standard_library(time_us: int, minutes: int, colon: str, timespec: str) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moment = (epoch + timedelta(microseconds=time_us)).astimezone(timezone(timedelta(minutes=minutes)))
    text = moment.isoformat(timespec=timespec)
    text = text[:-3] + colon + text[-2:]
    expected_us = (datetime.fromisoformat(text) - epoch) // timedelta(microseconds=1)
    assert parse_timestamp_us(text) == expected_us


@pytest.mark.slow
@given(st.text(max_size=40) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*)?([Z+-].{0,6})?", fullmatch=True))
def test_any_text_is_a_time_in_range_or_an_error(text: str) -> None:
    try:
        time_us = parse_timestamp_us(text)
    except TimestampError:
        return
    day_us = 86_400_000_000
    assert TIME_US_MIN - day_us <= time_us <= TIME_US_MAX + day_us


@pytest.mark.parametrize("time_us", [TIME_US_MIN, 0, NOON_US, TIME_US_MAX - 1])
def test_microseconds_in_range_stay_as_they_are(time_us: int) -> None:
    assert check_time_us(time_us) == time_us


@pytest.mark.parametrize("time_us", [TIME_US_MIN - 1, TIME_US_MAX, NOON_US * 1_000])
def test_microseconds_out_of_range_are_refused(time_us: int) -> None:
    with pytest.raises(TimestampError) as caught:
        check_time_us(time_us)
    assert caught.value.code == "timestamp_out_of_range"
