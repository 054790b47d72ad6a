"""A damaged input, and the damage that any file format can suffer."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """``make`` writes the damaged input into an empty folder and gives what to read; ``name`` says what is wrong."""

    name: str
    make: Callable[[Path], object]


Content = Callable[[bytes], Callable[[Path], object]]  # wraps a file's damaged bytes into an input


def cuts(name: str, content: bytes, wrap: Content, places: list[int]) -> Iterator[Case]:
    for place in places:
        yield Case(f"{name} cut at byte {place}", wrap(content[:place]))


def random_cuts(name: str, content: bytes, wrap: Content, generator: random.Random, count: int) -> Iterator[Case]:
    yield from cuts(name, content, wrap, [generator.randrange(len(content)) for _ in range(count)])


def flips(name: str, content: bytes, wrap: Content, generator: random.Random, count: int) -> Iterator[Case]:
    """One to 16 bits turned over, in the first bytes (where headers are) or anywhere."""
    for number in range(count):
        region = min(len(content), generator.choice([400, 2000, len(content)]))
        damaged, places = bytearray(content), []
        for _ in range(generator.choice([1, 1, 2, 4, 16])):
            places.append(generator.randrange(region * 8))
            damaged[places[-1] // 8] ^= 1 << places[-1] % 8
        yield Case(f"{name} with bits {sorted(places)} flipped ({number})", wrap(bytes(damaged)))


def overwrites(name: str, content: bytes, wrap: Content, generator: random.Random, count: int) -> Iterator[Case]:
    """A stretch replaced by zeros, ones, noise or another stretch of the file."""
    for number in range(count):
        start, length = generator.randrange(len(content)), generator.choice([2, 4, 8, 64, 512])
        other = generator.randrange(len(content))
        new = generator.choice([bytes(length), b"\xff" * length, generator.randbytes(length), content[other:][:length]])
        damaged = content[:start] + new + content[start + length :]
        yield Case(f"{name} with {length} bytes at {start} replaced ({number})", wrap(damaged))


def sample(cases: list[Case], generator: random.Random, count: int) -> list[Case]:
    """At most ``count`` of the cases, in their order."""
    chosen = sorted(generator.sample(range(len(cases)), min(count, len(cases))))
    return [cases[index] for index in chosen]
