"""From valid input to input that nobody meant: mutations of bytes, of lines, and of JSON with its structure kept.

A mutation is a pure function of a random generator and the samples, so a seed names an input.
"""

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.fuzz import hostile

GROWTH_BYTES_MAX = 20_000
"""Mutated inputs stay about this small, so that a million of them are minutes; `giants.py` has the large ones."""

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


class Raw(bytes):
    """Source text that stands in a JSON tree as it is."""

    __slots__ = ()


class Fields(list[tuple[str, Any]]):
    """A JSON object that may have a key twice."""

    __slots__ = ()


def tree_of(payload: bytes) -> Any:
    """Parse JSON to a tree of `Fields`, lists and plain values.

    Raises:
        ValueError: It is not JSON.
    """
    return json.loads(payload, object_pairs_hook=Fields)


def written(tree: Any) -> bytes:
    """Write a tree as JSON source text."""
    if isinstance(tree, Raw):
        return bytes(tree)
    if isinstance(tree, Fields):
        return b"{" + b",".join(json.dumps(name).encode() + b":" + written(each) for name, each in tree) + b"}"
    if isinstance(tree, list):
        return b"[" + b",".join(map(written, tree)) + b"]"
    return json.dumps(tree).encode()


class Mutator:
    """Mutates samples of one kind of input."""

    def __init__(self, samples: Sequence[bytes]) -> None:
        """Keep samples; those that are JSON are also taken apart, to be put together in other ways."""
        self.samples = list(samples)
        """Valid inputs."""
        self._trees: list[Any] = []
        self._parts: list[Any] = []
        self._names: list[str] = []
        for sample in self.samples:
            try:
                tree = tree_of(sample)
            except (ValueError, RecursionError):
                continue
            if isinstance(tree, list):
                self._trees.append(tree)
                self._gather(tree)
        self._names = sorted(set(self._names)) or ["a"]

    def __call__(self, rng: random.Random) -> bytes:
        """Return one mutated input."""
        kind = rng.randrange(10)
        if self._trees and kind < 6:
            data = written(self.mutated_tree(rng))
            return self.mutated_bytes(rng, data) if kind == 0 else data
        if kind < 9:
            return self.mutated_bytes(rng, rng.choice(self.samples))
        return rng.randbytes(rng.randrange(40)) if rng.random() < 0.5 else hostile.value(rng)

    def mutated_tree(self, rng: random.Random) -> Any:
        """Return a sample's tree with one to three mutations of its structure or values."""
        holder = Fields([("", _copied(rng.choice(self._trees)))])
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            self._mutate(rng, holder)
        return holder[0][1] if holder else Raw(b"")

    def mutated_bytes(self, rng: random.Random, data: bytes) -> bytes:
        """Return bytes with one to four mutations."""
        changed = bytearray(data)
        for _ in range(rng.choice([1, 1, 2, 4])):
            rng.choice(_BYTE_MUTATIONS)(rng, changed)
        if rng.random() < 0.1:
            other = rng.choice(self.samples)
            cut = rng.randrange(len(changed) + 1)
            changed[cut:] = other[rng.randrange(len(other) + 1) :]
        return bytes(changed[:GROWTH_BYTES_MAX])

    def _gather(self, node: Any) -> None:
        """Keep every part and name of a tree, to splice them elsewhere."""
        self._parts.append(node)
        if isinstance(node, Fields):
            self._names += [name for name, _ in node]
            for _, each in node:
                self._gather(each)
        elif isinstance(node, list):
            for each in node:
                self._gather(each)

    def _mutate(self, rng: random.Random, top: Fields) -> None:
        """Change one place of a tree, found by walking down at random."""
        holder: Any = top
        place = 0
        while holder:
            place = rng.randrange(len(holder))
            child = _at(holder, place)
            if not isinstance(child, list) or not child or rng.random() < 0.15:
                break
            holder = child
        if not holder:
            return
        kind = rng.randrange(10)
        if kind < 5:
            _put(holder, place, Raw(hostile.value(rng)))
        elif kind == 5:
            _put(holder, place, _copied(rng.choice(self._parts)))
        elif kind == 6 and holder is not top:
            del holder[place]
        elif kind == 7:
            holder.insert(rng.randrange(len(holder) + 1), _copied_entry(holder[place]))
        elif kind == 8 and isinstance(holder, Fields):
            name = rng.choice(self._names) if rng.random() < 0.6 else rng.choice(_ODD_NAMES)
            holder[place] = (name, holder[place][1])
        else:
            _put(holder, place, [_copied(_at(holder, place))] * rng.choice([0, 1, 2, 30]))


_ODD_NAMES = ["", "\0", "__class__", "a" * 300, "\ud800", "type", "\u00e9", "toString", "$ref"]


def _at(holder: Any, place: int) -> Any:
    return holder[place][1] if isinstance(holder, Fields) else holder[place]


def _put(holder: Any, place: int, child: Any) -> None:
    holder[place] = (holder[place][0], child) if isinstance(holder, Fields) else child


def _copied(tree: Any) -> Any:
    if isinstance(tree, Fields):
        return Fields((name, _copied(each)) for name, each in tree)
    return [_copied(each) for each in tree] if isinstance(tree, list) else tree


def _copied_entry(entry: Any) -> Any:
    return (entry[0], _copied(entry[1])) if isinstance(entry, tuple) else _copied(entry)


def _flip_bit(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _splice(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at : at + rng.randrange(4)] = rng.choice(hostile.SPLICES)


def _cut_off(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _cut_out(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.randrange(1, 20)]


def _repeat(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    part = data[at : at + rng.randrange(1, 60)]
    data[at:at] = part * rng.choice([1, 1, 2, 50])


def _other_number(rng: random.Random, data: bytearray) -> None:
    found = list(_NUMBER.finditer(bytes(data[:4_000])))
    if found:
        one = rng.choice(found)
        data[one.start() : one.end()] = rng.choice(hostile.NUMBERS)


def _noise(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at : at + rng.randrange(8)] = rng.randbytes(rng.randrange(8))


_BYTE_MUTATIONS: list[Callable[[random.Random, bytearray], None]] = [
    _flip_bit,
    _flip_bit,
    _splice,
    _splice,
    _cut_off,
    _cut_out,
    _repeat,
    _other_number,
    _noise,
]
