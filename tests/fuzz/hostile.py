"""Values that have broken parsers: numbers, texts and times, as JSON source text, and what to splice into bytes."""

import random

INTEGERS = [
    0, -1, 1, 127, 128, 255, 32_767, 32_768, -32_769, 65_535, 65_536, 2**31 - 1, 2**31, -(2**31) - 1, 2**32,
    2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 10**19, 10**20, -(10**20), 10**40,
]  # fmt: skip
NUMBERS: list[bytes] = [
    *(str(each).encode() for each in INTEGERS),
    *b"1e400 -1e400 1e308 1e300 -1e300 1e-400 5e-324 1e19 9.3e18 1e999999999".split(),
    *b"-0 -0.0 0.1 1.5 -61.5 1E5 1e0 100.0".split(),
    *b"NaN Infinity -Infinity nan inf 0x10 01 +1 .5 1. 1_000 -".split(),
    b"9" * 400,
    b"0." + b"0" * 400 + b"1",
]
"""Numbers, and what some parsers take for numbers."""

TEXTS: list[bytes] = [
    b'""', b'" "', b'"\\u0000"', b'"a\\u0000b"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\\uFFFE"',
    b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x80\xae"', b'"\xef\xbb\xbf"',
    b'"NaN"', b'"null"', b'"-61.5"', b'"1e400"', b'"\\n\\r\\t\\b"', b'"\\x41"', b'"/../../etc"', b'"%s%n{}"',
    '"\u0661\u0662\u0663"'.encode(), '"\u00df\u0130\ufb03"'.encode(), b'"' + b"A" * 300 + b'"',
    b'"' + b"0" * 10_000 + b'"',
]  # fmt: skip
"""JSON strings, some of them not valid."""

OTHERS: list[bytes] = [b"null", b"true", b"false", b"[]", b"{}", b"[[]]", b"[null]", b'{"":null}', b"[0,1]", b"", b","]

TIMES: list[bytes] = [
    b'"%s"' % each
    for each in (
        b"0000-00-00T00:00:00Z", b"0001-01-01T00:00:00Z", b"1969-12-31T00:00:00Z", b"1970-01-01T00:00:00.000000Z",
        b"1970-01-01T00:00:00+23:59", b"1999-12-31T23:59:60Z", b"2024-02-30T00:00:00Z", b"2026-03-14T24:00:00Z",
        b"2026-03-14T09:26:53", b"2026-03-14T09:26:53.1234567890123456789Z", b"2026-03-14T09:26:53.Z",
        b"2026-03-14T09:26:53+99:99", b"2026-03-14T09:26:53-2359", b"2026-03-14 09:26:53Z", b"2026-3-14T9:26:53Z",
        b"2199-12-31T23:59:59.999999Z", b"2200-01-01T00:00:00Z", b"2262-04-11T23:47:16.854775807Z",
        b"2262-04-11T23:47:16.854775808Z", b"9999-12-31T23:59:59.999999Z", b"9999-12-31T23:59:59-23:59",
        b"10000-01-01T00:00:00Z", b"-0001-01-01T00:00:00Z", b"1773480413000", b"20260314T092653Z", b"now", b"",
        "\u0662\u0660\u0662\u0666-03-14T09:26:53Z".encode(),
    )
]  # fmt: skip
"""Times as text."""

SPLICES: list[bytes] = [
    b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\\ud800", b"\r\n",
    b"\xef\xbb\xbf", b"9" * 30, b"e400", b"-", b" " * 50, b"//", b"NaN",
]  # fmt: skip
"""What is spliced into bytes."""


def value(rng: random.Random) -> bytes:
    """Return the source text of any JSON value, or of something like one."""
    kind = rng.randrange(20)
    if kind < 7:
        return rng.choice(NUMBERS)
    if kind < 12:
        return rng.choice(TEXTS)
    if kind < 15:
        return rng.choice(TIMES)
    if kind < 18:
        return rng.choice(OTHERS)
    if kind == 18:
        return nested(rng)
    return b"%d" % rng.getrandbits(rng.randrange(1, 80))


def nested(rng: random.Random) -> bytes:
    """Return a deep value; usually some hundred levels, now and then beyond any recursion limit."""
    depth = rng.choice([10, 100, 500, 999, 1_001, 3_000])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}"), (b"[1,[", b"]]")])
    return opening * depth + b"1" + (closing * depth if rng.random() < 0.7 else b"")
