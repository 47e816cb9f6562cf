"""Promise: whatever arrives, a decoder says what it means or why not, and what it says fits the tables.

Two worked examples of each property stand in `tests/golden`: `rubbish` and `json_cut_off` for any bytes,
`one_bad_tag_costs_no_other` and `bytes_that_are_not_utf8_cost_one_tag` for a spoilt part among good ones.
"""

import json
import os
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.bulk import TopicDirectory, decode_publications
from devices.documents import PARTS_MAX, PAYLOAD_BYTES_MAX
from devices.errors import DecodeError
from devices.observations import Decoded
from devices.registry import PROFILES, Profile
from devices.schemas import STREAMS
from devices.site.model import Reader, Site
from tests.devices.golden_cases import cases, payload_of
from tests.devices.sources import a_source, logged

QUICK = settings(
    max_examples=int(os.environ.get("TAGTIDE_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

VALID = [payload_of(case) for case in cases()]
TOPICS = [("weight", "a/mass"), ("weight", "a/touched"), ("weight", "a/state")]
TOPICS += [(name, f"any/{name}") for name in PROFILES if name != "weight"]
DIRECTORY = TopicDirectory.of(
    [
        Site(
            id="s",
            readers=tuple(Reader(id=topic, profile=name, mqtt_topic=topic) for name, topic in TOPICS),
        )
    ]
)

any_text = st.text(st.characters(categories=["L", "N", "P", "Zs", "Cc", "Cs"]), max_size=12)
any_number = st.one_of(
    st.integers(-(10**25), 10**25),
    st.sampled_from([2**15, 2**31, 2**63, -(2**63) - 1, 2**64, 10**400, 1e300, 253402300800]),
    st.floats(),
)
any_json = st.recursive(
    st.none() | st.booleans() | any_number | any_text | st.sampled_from(["2026-03-14T09:26:53Z", "AB12", "connected"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=8,
)


def check(payload: bytes) -> None:
    """Decode a payload with every profile on topics of every kind, alone and in bulk."""
    failed = {offset for offset, (name, topic) in enumerate(TOPICS, start=1) if _fails(name, topic, payload)}
    publications = logged((topic, payload) for _, topic in TOPICS)
    (chunk,) = decode_publications(publications, edge_id="e", directory=DIRECTORY) or (None,)
    rejected: list[int] = []
    for stream, batch in ({} if chunk is None else chunk.batches).items():
        batch.validate(full=True)
        assert batch.schema == STREAMS[stream]
        if stream == "rejects":
            assert "decoder_bug" not in batch["reason_code"].to_pylist()
            rejected = batch["edge_offset"].to_pylist()
        else:
            assert failed.isdisjoint(batch["edge_offset"].to_pylist())
    assert all(rejected.count(offset) == 1 for offset in failed)


def _fails(name: str, topic: str, payload: bytes) -> bool:
    try:
        decoded = PROFILES[name].decode(payload, topic, a_source(name))
    except DecodeError as error:
        return error.code.isidentifier()
    assert isinstance(decoded, Decoded)
    return False


@st.composite
def spoilt_bytes(draw: st.DrawFn) -> bytes:
    payload = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(payload)))
        end = min(len(payload), at + draw(st.integers(0, 5)))
        payload[at:end] = draw(
            st.binary(max_size=4) | st.sampled_from([b'"', b"{", b"[", b"]", b",", b"9" * 30, b"\\ud800"])
        )
    return bytes(payload)


@st.composite
def spoilt_documents(draw: st.DrawFn) -> bytes:
    """A valid payload, one value of which has become any other."""
    parsed = _parsed(draw(st.sampled_from(VALID)))
    holder: Any = {"": parsed}
    key: Any = ""
    while isinstance(holder[key], dict | list) and holder[key] and draw(st.integers(0, 9)):
        holder = holder[key]
        key = (
            draw(st.sampled_from(sorted(holder))) if isinstance(holder, dict) else draw(st.integers(0, len(holder) - 1))
        )
    holder[key] = draw(any_json)
    document = holder[""] if key == "" and "" in holder else parsed
    return json.dumps(document).encode()


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("latin-1")


@pytest.mark.slow
@QUICK
@given(st.binary(max_size=60))
def test_any_bytes(payload: bytes) -> None:
    check(payload)


@pytest.mark.slow
@QUICK
@given(any_json)
def test_any_json(document: object) -> None:
    check(json.dumps(document).encode())


@pytest.mark.slow
@settings(QUICK, max_examples=2 * QUICK.max_examples)
@given(spoilt_bytes())
def test_a_payload_with_spoilt_bytes(payload: bytes) -> None:
    check(payload)


@pytest.mark.slow
@settings(QUICK, max_examples=2 * QUICK.max_examples)
@given(spoilt_documents())
def test_a_payload_with_a_spoilt_value(payload: bytes) -> None:
    check(payload)


@pytest.mark.slow
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"type":"reads","reads":[', b'[{"data":', b'[1,"\\ud800",['])
def test_deep_nesting(opening: bytes) -> None:
    check(opening * 50_000)
    check(opening * 50_000 + b"1" + {b"[": b"]"}.get(opening, b"}") * 50_000)


@pytest.mark.slow
@pytest.mark.parametrize("digits", [b"9" * 5_000, b"-" + b"9" * 400, b"1e999999999", b"0." + b"0" * 5_000 + b"1"])
def test_numbers_that_nothing_holds(digits: bytes) -> None:
    check(digits)
    for payload in VALID:
        check(payload.replace(b"-61.5", digits).replace(b"4711", digits).replace(b"-6150", digits))


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_payload_over_the_limit_is_not_even_looked_at(profile: str) -> None:
    with pytest.raises(DecodeError) as caught:
        PROFILES[profile].decode(bytes(PAYLOAD_BYTES_MAX + 1), "a/mass", a_source(profile))
    assert caught.value.code == "payload_too_large"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "payload"),
    [
        ("impinj", b"[" + b"0," * PARTS_MAX + b"0]"),
        ("zebra", b"{}" * (PARTS_MAX + 1)),
        ("tagtide", b'{"reads":[' + b"0," * PARTS_MAX + b"0]}"),
    ],
)
def test_more_parts_than_the_limit(profile: str, payload: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        PROFILES[profile].decode(payload, "a/b", a_source(profile))
    assert caught.value.code == "too_many_parts"


@pytest.mark.parametrize("payload", [each for each in VALID if isinstance(_parsed(each), dict | list)])
def test_the_fast_and_the_careful_way_agree(payload: bytes) -> None:
    """White space in front sends every dialect the careful way."""
    for profile in PROFILES.values():
        assert _outcome(profile, payload) == _outcome(profile, b" \n" + payload)


def _outcome(profile: Profile, payload: bytes) -> object:
    try:
        return msgspec.to_builtins(profile.decode(payload, "a/mass", a_source(profile.name, **{"dock left": 4})))
    except DecodeError as error:
        return error.code
