"""Which stored video is which listed one: by name, never by guess."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from fsar_core.data.listing.benchmarks import BENCHMARKS
from fsar_core.data.listing.listed import Listed, Listing
from fsar_core.data.listing.names import class_key, plain, youtube_id
from fsar_core.data.listing.stored import Stored

L = TypeVar("L", bound=Hashable)
_Key = Callable[[str], str]


@dataclass(frozen=True)
class Matched(Generic[L]):
    """Each listed video is in exactly one of the three, each in the order of the listing."""

    found: tuple[tuple[Listed, Stored[L]], ...]
    missing: tuple[Listed, ...]
    ambiguous: tuple[tuple[Listed, tuple[Stored[L], ...]], ...]
    """With what it may be: several of its name, or one that other listed videos may be as well."""
    unused: int
    """Stored videos that no listed one may be."""
    ways: Mapping[str, int] = field(default_factory=dict[str, int])
    """How the found ones were: ``name``, ``YouTube id``, ``letters and digits``."""


def match(listing: Listing, stored: Iterable[Stored[L]]) -> Matched[L]:
    """The same name first, then the same YouTube id (where the benchmark's videos have one), then the same letters and
    digits; of several, the one in the folder of the class.

    Where a benchmark's names say nothing without their class, videos in folders of other listed classes are others'.
    """
    search: _Search[L] = _Search(listing)
    count = search.index(stored)
    for way in search.keys:
        search.claim(way)
    return search.result(count)


class _Search(Generic[L]):
    def __init__(self, listing: Listing) -> None:
        benchmark = BENCHMARKS.get(listing.benchmark)
        self.videos = listing.videos
        self.unique = benchmark is not None and benchmark.unique
        self.classes = {class_key(video.label) for video in listing.videos}
        self.keys: dict[str, _Key] = {"name": str}
        if benchmark is not None and benchmark.youtube:
            self.keys["YouTube id"] = youtube_id
        self.keys["letters and digits"] = plain
        self.named: dict[str, dict[str, list[Stored[L]]]] = {}
        self.open = list(range(len(self.videos)))
        self.found: dict[int, tuple[Stored[L], str]] = {}
        self.ambiguous: dict[int, tuple[Stored[L], ...]] = {}
        self.used: set[Stored[L]] = set()

    def index(self, stored: Iterable[Stored[L]]) -> int:
        """Keeps the stored videos that any listed one may be; returns how many there are in all."""
        wanted = {way: {key(video.video) for video in self.videos} - {""} for way, key in self.keys.items()}
        self.named = {way: defaultdict(list) for way in self.keys}
        count = 0
        for one in stored:
            count += 1
            for way, key in self.keys.items():
                name = key(one.name)
                if name in wanted[way]:
                    self.named[way][name].append(one)
        return count

    def claim(self, way: str) -> None:
        """Settles the open videos that have candidates in this way."""
        key, named = self.keys[way], self.named[way]
        claims: dict[int, list[Stored[L]]] = {}
        claimed: Counter[Stored[L]] = Counter()
        for number in self.open:
            candidates = self._fitting(self.videos[number], named.get(key(self.videos[number].video), []))
            if candidates:
                claims[number] = candidates
                claimed.update(candidates)
        for number, candidates in claims.items():
            if len(candidates) == 1 and claimed[candidates[0]] == 1:
                self.found[number] = candidates[0], way
            else:
                self.ambiguous[number] = tuple(candidates)
        self.used.update(claimed)
        self.open = [number for number in self.open if number not in claims]

    def _fitting(self, video: Listed, candidates: list[Stored[L]]) -> list[Stored[L]]:
        """The free ones in the best folder there is."""
        ranked: dict[int, list[Stored[L]]] = defaultdict(list)
        for one in candidates:
            if one not in self.used:
                ranked[self._rank(video, one)].append(one)
        best = min(ranked, default=0)
        return ranked[best] if self.unique or best < 3 else []

    def _rank(self, video: Listed, one: Stored[L]) -> int:
        """0: in the folder of its class, 1: in the folder that the list names, 2: in none of a class, 3: of another."""
        folder = class_key(one.folder)
        if folder == class_key(video.label):
            return 0
        if folder in self.classes:
            return 3
        return 1 if folder and folder == class_key(video.hint.rpartition("/")[0].rpartition("/")[2]) else 2

    def result(self, count: int) -> Matched[L]:
        ways = Counter(way for _, way in self.found.values())
        return Matched(
            tuple((self.videos[number], self.found[number][0]) for number in sorted(self.found)),
            tuple(self.videos[number] for number in sorted(self.open)),
            tuple((self.videos[number], self.ambiguous[number]) for number in sorted(self.ambiguous)),
            count - len(self.used),
            dict(ways),
        )
