"""What a business system knows, in our own JSON: a document of type `business`."""

from typing import Annotated

import msgspec

from devices.documents import COPIED_BYTES_MAX, check_part_count, check_shared_extra, extra_json, shown
from devices.epc.keys import check_digit
from devices.errors import DecodeError
from devices.observations import BusinessEvent, BusinessEventKind
from devices.shapes import Shape
from devices.tag_memory import epc_from_hex
from devices.tagtide.time import TimeUs, time_of

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]

QUANTITY_MAX = 1_000_000_000
"""Most units of one event, either way. What is more is a garbled number, or a till that lost its decimal point."""
_Quantity = Annotated[int, msgspec.Meta(ge=-QUANTITY_MAX, le=QUANTITY_MAX)]

_GTIN_LENGTHS = (8, 12, 13, 14)
_KINDS = {kind.value for kind in BusinessEventKind}
_SIGNED = (BusinessEventKind.BOOK_STOCK, BusinessEventKind.ADJUSTMENT)
"""Events whose quantity may be zero or negative: a book that was oversold says so."""


class _Business(msgspec.Struct, kw_only=True):
    id: _Text
    event: str
    quantity: _Quantity | None = None
    gtin: str | None = None
    epc: str | None = None
    epcs: list[str] | None = None
    zone: _Text | None = None
    transaction: _Text | None = None
    time: str | None = None
    time_us: TimeUs | None = None


_SHAPE = Shape(_Business)


def business_events(fields: dict[str, object]) -> list[BusinessEvent]:
    """Decode a document of type `business`.

    Args:
        fields: The document without its type.

    Returns:
        One event; with `epcs` one for each of them, whose identifiers end in `/1`, `/2` and so on.

    Raises:
        DecodeError: A field is not what it should be, or they contradict one another.
    """
    business, unknown = _SHAPE.take(fields)
    if business.event not in _KINDS:
        hint = f"an event is one of {', '.join(sorted(_KINDS))}"
        raise DecodeError(f"event is {shown(business.event)}", code="event_invalid", hint=hint)
    gtin = None if business.gtin is None else _gtin14(business.gtin)
    extra = extra_json(unknown) if unknown else None
    time_us = time_of(business.time, business.time_us)

    def event(event_id: str, quantity: int, epc_hex: str | None) -> BusinessEvent:
        return BusinessEvent(
            event=business.event,
            event_id=event_id,
            quantity=quantity,
            gtin=gtin,
            epc_hex=epc_hex,
            zone=business.zone,
            business_transaction=business.transaction,
            reader_time_us=time_us,
            event_time_source="received" if time_us is None else "read",
            extra=extra,
        )

    epcs = _epcs(business)
    if epcs is None:
        return [event(business.id, _quantity(business), None)]
    each = _quantity_each(business, len(epcs))
    check_shared_extra(unknown)
    _check_copies(business, extra, len(epcs))
    if business.epcs is None:
        return [event(business.id, each, epcs[0])]
    return [event(f"{business.id}/{number}", each, epc_hex) for number, epc_hex in enumerate(epcs, start=1)]


def _epcs(business: _Business) -> list[str] | None:
    """Return the EPCs that are named, or `None` where a GTIN and a quantity are."""
    if business.epc is None and business.epcs is None:
        if business.gtin is None:
            raise DecodeError("neither gtin nor epc nor epcs", code="item_missing")
        return None
    if business.epc is not None and business.epcs is not None:
        raise DecodeError("both epc and epcs are given", code="item_ambiguous", hint="send one of them")
    if business.event == BusinessEventKind.BOOK_STOCK:
        raise DecodeError("book_stock of single EPCs", code="item_invalid", hint="send gtin and quantity")
    epcs = [business.epc] if business.epc is not None else business.epcs or []
    if not epcs:
        raise DecodeError("epcs is empty", code="item_missing")
    check_part_count(len(epcs))
    return [epc_from_hex(epc) for epc in epcs]


def _quantity(business: _Business) -> int:
    if business.quantity is None:
        raise DecodeError("quantity is missing", code="quantity_missing")
    if business.quantity < 1 and business.event not in _SIGNED:
        raise DecodeError(
            f"quantity of {business.event} is {business.quantity}",
            code="quantity_invalid",
            hint="send a positive count; corrections are events of kind adjustment",
        )
    return business.quantity


def _quantity_each(business: _Business, count: int) -> int:
    """Return what each of the named EPCs counts: one, or minus one where an adjustment takes them off the book."""
    if business.event == BusinessEventKind.ADJUSTMENT:
        quantity = _quantity(business)
        if abs(quantity) != count:
            raise DecodeError(f"quantity is {quantity}, {count} EPCs are named", code="quantity_invalid")
        return quantity // count
    if business.quantity not in (None, count):
        raise DecodeError(f"quantity is {business.quantity}, {count} EPCs are named", code="quantity_invalid")
    return 1


def _check_copies(business: _Business, extra: str | None, count: int) -> None:
    """Refuse a document whose texts would take too much, copied to each of its items."""
    texts = (business.id, business.zone, business.transaction, extra)
    copied_bytes = count * sum(len(text.encode()) for text in texts if text is not None)
    if copied_bytes > COPIED_BYTES_MAX:
        raise DecodeError(
            f"id, zone, transaction and further fields of {count} EPCs take {copied_bytes} bytes",
            code="shared_extra_too_long",
            hint="send shorter texts, or fewer EPCs in one document",
        )


def _gtin14(text: str) -> str:
    """Return a GTIN of 8, 12, 13 or 14 digits with leading zeros, its check digit verified."""
    if len(text) not in _GTIN_LENGTHS or not (text.isascii() and text.isdigit()):
        raise DecodeError(f"gtin is {shown(text)}", code="gtin_invalid", hint="send 8, 12, 13 or 14 digits")
    if check_digit(text[:-1]) != text[-1]:
        message = f"gtin {text} has check digit {text[-1]}, expected {check_digit(text[:-1])}"
        raise DecodeError(message, code="gtin_invalid", hint="send the GTIN, not an article number")
    return text.zfill(14)
