"""Row keys: equal for equal rows, different otherwise, wherever in whatever buffers the rows lie."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from analytics.steps.row_keys import row_keys
from tests.analytics.step_laws import LAWS

SCHEMA = pa.schema(
    [
        pa.field("text", pa.string()),
        pa.field("other", pa.string()),
        pa.field("short", pa.int16()),
        pa.field("number", pa.float64()),
        pa.field("at", pa.timestamp("us", tz="UTC")),
    ]
)
Row = tuple[str | None, str | None, int | None, float | None, int | None]

ROWS = st.lists(
    st.tuples(
        st.none() | st.text("ab\0é", max_size=18),
        st.none() | st.text("ab", max_size=2),
        st.none() | st.integers(-2, 2),
        st.none() | st.sampled_from([0.0, 1.5, -1.5]),
        st.none() | st.integers(-1, 1),
    ),
    min_size=1,
    max_size=40,
)


def batch_of(rows: list[Row]) -> pa.RecordBatch:
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


@LAWS
@given(rows=ROWS)
def test_keys_are_equal_exactly_where_rows_are(rows: list[Row]) -> None:
    keys = row_keys(batch_of(rows), SCHEMA.names, stream="reads").tolist()
    assert len(set(keys)) == len(set(rows))
    assert len(set(zip(keys, rows, strict=True))) == len(set(rows))
    assert 0 not in keys


@LAWS
@given(rows=ROWS, data=st.data())
def test_keys_do_not_depend_on_the_rows_around(rows: list[Row], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(rows) - 1))
    end = data.draw(st.integers(first + 1, len(rows)))
    batch = batch_of(rows)
    whole = row_keys(batch, SCHEMA.names, stream="reads")
    sliced = batch.slice(first, end - first)
    with pa.BufferOutputStream() as sink:
        with pa.ipc.new_stream(sink, SCHEMA) as writer:
            writer.write_batch(sliced)
        travelled = pa.ipc.open_stream(sink.getvalue()).read_next_batch()
    for part in (sliced, batch_of(rows[first:end]), travelled):
        assert row_keys(part, SCHEMA.names, stream="reads").tolist() == whole[first:end].tolist()


def test_a_value_in_another_column_or_stream_is_another_key() -> None:
    keys = [
        *row_keys(batch_of([("a", None, None, None, None), (None, "a", None, None, None)]), SCHEMA.names, stream="x"),
        *row_keys(batch_of([("a", None, None, None, None), (None, None, None, None, None)]), SCHEMA.names, stream="y"),
    ]
    assert len(set(keys)) == 4
