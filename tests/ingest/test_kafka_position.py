"""Position tokens: what is written is read, and anything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.errors import Recovery
from ingest.kafka_errors import KafkaPositionError
from ingest.kafka_position import KafkaPosition, decode_position, encode_position
from ingest.kafka_records import TOPICS, kafka_partition_of

_OFFSETS = st.integers(0, 2**63 - 1)


@given(
    st.none() | st.integers(1, 1000),
    st.dictionaries(st.integers(0, 50), st.dictionaries(st.sampled_from(TOPICS), _OFFSETS, min_size=1)),
    st.dictionaries(st.tuples(st.none() | st.text(max_size=5), st.text(max_size=5)), _OFFSETS),
)
def test_a_position_survives_its_token(
    count: int | None, offsets: dict[int, dict[str, int]], handed: dict[tuple[str | None, str], int]
) -> None:
    position = KafkaPosition(kafka_partitions=count, next_offsets=offsets, handed=handed)
    assert decode_position(encode_position(position)) == position


@given(st.binary(max_size=50))
def test_anything_else_is_refused(token: bytes) -> None:
    with pytest.raises(KafkaPositionError) as caught:
        decode_position(token)
    assert caught.value.recovery is Recovery.HALT


def test_a_position_of_a_later_version_is_refused() -> None:
    with pytest.raises(KafkaPositionError, match="another version"):
        decode_position(b'{"version":2,"kafka_partitions":3,"next_offsets":{},"handed":[]}')


def test_what_was_handed_out_goes_to_the_partition_of_its_key() -> None:
    handed: dict[tuple[str | None, str], int] = {("store-042", "e1"): 5, (None, "e1"): 7}
    position = KafkaPosition(handed=handed).for_partitions(3)
    shares = [position.handed_in(number) for number in range(3)]
    assert shares[kafka_partition_of(b"store-042", 3)]["store-042", "e1"] == 5
    assert shares[kafka_partition_of(b"e1", 3)][None, "e1"] == 7
    assert sum(len(share) for share in shares) == 2
