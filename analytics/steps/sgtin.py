"""URI and GTIN of many EPCs at once: SGTIN-96, nearly all there is, in a kernel; everything else by `identify`.

Nothing is remembered, so nothing grows with the number of items. `devices.epc` stays the one place that knows EPCs;
this is its answer for one scheme, faster, and tests hold the two together.
"""

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.steps.identity import identify
from analytics.text_kernels import (
    SPARE_BYTES,
    Bytes,
    Ends,
    Number,
    digits_of,
    piece_of,
    put_digits,
    put_piece,
    string_array,
    text_of,
)
from devices.epc.coding_tables import PREFIX_BITS, SCHEMES

Ints = npt.NDArray[np.int64]

_SGTIN_96 = SCHEMES[0x30]
_SERIAL_BITS = _SGTIN_96.tail_bits
_SERIAL_MASK = _SGTIN_96.tail_mask
_DIGITS = _SGTIN_96.bits // 4
_HALF_DIGITS, _HALF_BITS = _DIGITS // 2, _SGTIN_96.bits // 2
_ARTICLE_BITS = PREFIX_BITS[0] + _SGTIN_96.reference_bits[0]
"""Bits of company prefix and reference together, whatever their shares."""
_PARTITION_INVALID = 7
_REFERENCE_BITS = np.array(_SGTIN_96.reference_bits, dtype=np.int64)
_TEN_TO = 10 ** np.arange(14, dtype=np.int64)
_URI_HEAD = piece_of(b"urn:epc:id:sgtin:")
_GTIN_DIGITS = 14
_URI_BYTES_MAX = len(_URI_HEAD) + 13 + 2 + len(str(_SERIAL_MASK))
_DOT, _ZERO, _NINE, _A, _F = 46, 48, 57, 65, 70


def name_items(epcs: pa.StringArray) -> tuple[pa.Array, pa.Array]:
    """Return what `identify` says of each EPC, as two columns.

    Args:
        epcs: Upper-case hexadecimal, without nulls.

    Returns:
        Pure-identity URIs and GTIN-14s, null where an EPC names none.
    """
    rows = len(epcs)
    text, offsets = text_of(epcs)
    uris, uri_ends = np.empty(rows * _URI_BYTES_MAX + SPARE_BYTES, dtype=np.uint8), np.empty(rows, dtype=np.int64)
    gtins, gtin_ends = np.empty(rows * _GTIN_DIGITS, dtype=np.uint8), np.empty(rows, dtype=np.int64)
    known = np.empty(rows, dtype=np.bool_)
    _write_names(text, offsets, uris, uri_ends, gtins, gtin_ends, known)
    uri, gtin = string_array(uris, uri_ends, known), string_array(gtins, gtin_ends, known)
    if known.all():
        return uri, gtin
    names = [identify(epc) for epc in epcs.filter(pa.array(~known)).to_pylist()]
    others = pa.array(~known)
    return (
        pc.replace_with_mask(uri, others, pa.array([name[0] for name in names], pa.string())),
        pc.replace_with_mask(gtin, others, pa.array([name[1] for name in names], pa.string())),
    )


def articles_of(text: Bytes, offsets: npt.NDArray[np.integer]) -> Ints:
    """Return a number for each EPC that is the same for all units of an article; -1 for EPCs that are no SGTIN-96.

    Args:
        text: EPCs one behind the other, upper-case hexadecimal.
        offsets: Where each begins, and where the last one ends.
    """
    found = np.empty(len(offsets) - 1, dtype=np.int64)
    _find_articles(text, offsets.astype(np.int64), found)
    return found


@numba.njit(cache=True)
def _half(text: Bytes, start: int) -> Number:
    """Return the number that so many hexadecimal digits stand for; -1 where one is none."""
    value = np.int64(0)
    for position in range(start, start + _HALF_DIGITS):
        character = np.int64(text[position])
        if _ZERO <= character <= _NINE:
            digit = character - _ZERO
        elif _A <= character <= _F:
            digit = character - _A + 10
        else:
            return np.int64(-1)
        value = value << 4 | digit
    return value


@numba.njit(cache=True)
def _read_bits(text: Bytes, start: int, stop: int) -> tuple[Number, Number]:
    """Return an SGTIN-96's bits before its serial number, and that; -1 twice for anything else."""
    if stop - start != _DIGITS or text[start] != _ZERO + 3 or text[start + 1] != _ZERO:
        return np.int64(-1), np.int64(-1)
    high, low = _half(text, start), _half(text, start + _HALF_DIGITS)
    if high < 0 or low < 0:
        return np.int64(-1), np.int64(-1)
    return high << (_HALF_BITS - _SERIAL_BITS) | low >> _SERIAL_BITS, low & _SERIAL_MASK


@numba.njit(cache=True)
def _find_articles(text: Bytes, offsets: Ints, found: Ints) -> None:
    for row in range(len(found)):
        found[row], _ = _read_bits(text, offsets[row], offsets[row + 1])


@numba.njit(cache=True)
def _write_names(  # noqa: PLR0917 - kernels take their arrays one by one
    text: Bytes,
    offsets: npt.NDArray[np.int32],
    uris: Bytes,
    uri_ends: Ends,
    gtins: Bytes,
    gtin_ends: Ends,
    known: npt.NDArray[np.bool_],
) -> None:
    """Write URI and GTIN of each EPC that is an SGTIN-96 which the standard allows."""
    uri_at, gtin_at = 0, 0
    for row in range(len(known)):
        head, serial = _read_bits(text, offsets[row], offsets[row + 1])
        known[row] = False
        partition = head >> _ARTICLE_BITS & 7
        if head >= 0 and partition != _PARTITION_INVALID:
            bits, prefix_digits, reference_digits = _REFERENCE_BITS[partition], 12 - partition, 1 + partition
            article = head & ((1 << _ARTICLE_BITS) - 1)
            prefix, reference = article >> bits, article & ((1 << bits) - 1)
            if prefix < _TEN_TO[prefix_digits] and reference < _TEN_TO[reference_digits]:
                known[row] = True
                uri_at = put_piece(uris, uri_at, _URI_HEAD)
                uri_at = put_digits(uris, uri_at, prefix, prefix_digits)
                uris[uri_at] = _DOT
                uri_at = put_digits(uris, uri_at + 1, reference, reference_digits)
                uris[uri_at] = _DOT
                uri_at = put_digits(uris, uri_at + 1, serial, digits_of(serial))
                gtin_at = _put_gtin(gtins, gtin_at, prefix, prefix_digits, reference, reference_digits)
        uri_ends[row], gtin_ends[row] = uri_at, gtin_at


@numba.njit(cache=True)
def _put_gtin(  # noqa: PLR0917
    text: Bytes, at: int, prefix: int, prefix_digits: int, reference: int, reference_digits: int
) -> int:
    """Write a GTIN-14: the reference's first digit, the company prefix, the rest of the reference, a check digit."""
    start = at
    at = put_digits(text, at, reference // _TEN_TO[reference_digits - 1], 1)
    at = put_digits(text, at, prefix, prefix_digits)
    at = put_digits(text, at, reference, reference_digits - 1)
    total = np.int64(0)
    for place in range(_GTIN_DIGITS - 1):
        digit = np.int64(text[start + place]) - _ZERO
        total += 3 * digit if place % 2 == 0 else digit
    text[at] = _ZERO + (-total) % 10
    return at + 1
