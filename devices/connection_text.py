"""Connect, disconnect and will messages that are plain words rather than JSON."""

from devices.errors import DecodeError
from devices.observations import DeviceEvent, DeviceEventKind

TEXT_BYTES_MAX = 200
"""Longest plain text that is taken for a status: they are typed into a form on the device."""

_WORDS = {
    "connected": DeviceEventKind.CONNECTED,
    "online": DeviceEventKind.CONNECTED,
    "ready": DeviceEventKind.CONNECTED,
    "lost": DeviceEventKind.LOST,
    "connection lost": DeviceEventKind.LOST,
    "offline": DeviceEventKind.LOST,
    "disconnected": DeviceEventKind.DISCONNECTED,
}


def connection_event(payload: bytes) -> DeviceEvent | None:
    """Return what a well-known word says, in any case, or `None` for everything else."""
    if len(payload) > TEXT_BYTES_MAX:
        return None
    event = _WORDS.get(payload.decode("utf-8", "replace").strip().lower())
    return None if event is None else DeviceEvent(event=event.value)


def plain_text(payload: bytes) -> str:
    """Return a short line of words.

    Raises:
        DecodeError: `json_invalid`, for anything that looks like broken JSON or is not readable text.
    """
    text = payload[: TEXT_BYTES_MAX + 1].decode("utf-8", "replace").strip()
    is_words = text.isprintable() and any(map(str.isalpha, text)) and not any(mark in text for mark in '{}[]"\ufffd')
    if len(payload) > TEXT_BYTES_MAX or not is_words:
        raise DecodeError("neither JSON nor a line of plain text", code="json_invalid")
    return text
