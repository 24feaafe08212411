"""From what a row says of its class, a name or a number, to the official class name; told where sources disagree."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from fsar_core.data.folder_scan import SPLITS, Split
from fsar_core.data.listing.annotations import Annotations
from fsar_core.data.listing.benchmarks import Benchmark
from fsar_core.data.listing.faults import Faults
from fsar_core.data.listing.names import class_key, ucf_class
from fsar_core.data.listing.rows import Row

_Group = tuple[Split | None, int]


@dataclass
class Classes:
    """What was found."""

    labels: list[str] = field(default_factory=list[str])
    """One for each row: the official name, or as it was found where the benchmark has no such class."""
    notes: list[str] = field(default_factory=list[str])


def by_name(rows: list[Row], benchmark: Benchmark, annotations: Annotations, faults: Faults) -> Classes:
    classes = Classes()
    for row in rows:
        label = _official(row.line.label, benchmark)
        said = annotations.labels.get(benchmark.key(row.line.video))
        if said is not None and class_key(said) != class_key(label):
            faults.add(row.place, f"video {row.line.video!r} is of {label!r} here, of {said!r} in the annotations")
        classes.labels.append(label)
    if annotations.labels:
        classes.notes.extend(_unannotated(rows, benchmark, annotations))
    return classes


def by_number(rows: list[Row], benchmark: Benchmark, annotations: Annotations, faults: Faults) -> Classes:
    """Annotations first, then class folders in the paths and UCF's file names, then the published order."""
    groups: dict[_Group, list[Row]] = defaultdict(list)
    for row in rows:
        groups[_group(row)].append(row)
    published = _published(groups, benchmark)
    names: dict[_Group, str] = {}
    unchecked = 0
    for group, members in groups.items():
        found = _evident(members, benchmark, annotations)
        if len(found) > 1:
            faults.add(members[0].place, _contradiction(group, found))
        elif not found and group not in published:
            faults.add(members[0].place, _unknown(benchmark))
        unchecked += not found
        names[group] = next(iter(found), published.get(group, ""))
    if not faults:
        _check_one_to_one(groups, names, faults)
    classes = Classes([names[_group(row)] for row in rows])
    if unchecked:
        classes.notes.append(f"class numbers that only the published order names, nothing checks them: {unchecked:,}")
    moved = sum(published.get(group, name) != name for group, name in names.items())
    if moved:
        classes.notes.append(
            f"class numbers that are not of the published order, the videos name their classes: {moved:,}"
        )
    if annotations.labels:
        classes.notes.extend(_unannotated(rows, benchmark, annotations))
    return classes


def _official(name: str, benchmark: Benchmark) -> str:
    return benchmark.split.by_name.get(class_key(name), (name, ""))[0]


def _evident(rows: list[Row], benchmark: Benchmark, annotations: Annotations) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        said = annotations.labels.get(benchmark.key(row.line.video))
        if said is not None:
            found[_official(said, benchmark)] += 1
            continue
        for name in (row.line.folder, ucf_class(row.line.video)):
            if class_key(name) in benchmark.split.by_name:
                found[_official(name, benchmark)] += 1
                break
    return found


def _group(row: Row) -> _Group:
    """The rows that are of one class: numbers count per split, but in class maps and lists of whole data sets."""
    return (None if row.line.form == "path number" else row.split), row.line.number or 0


def _published(groups: dict[_Group, list[Row]], benchmark: Benchmark) -> dict[_Group, str]:
    """Empty where there is none, or a number beyond a split's classes tells that the numbers are of another kind."""
    split = benchmark.split
    form = next(iter(groups.values()))[0].line.form
    if form == "class map":  # TA2N's of SSv2-Small; no other is known
        ta2n = (*split.numbered("test"), *split.numbered("train"), *split.numbered("val"))
        order: dict[_Group, str] = {(None, i): label for i, label in enumerate(ta2n)} if split.numeric_index else {}
    elif form == "path number":
        order = {}
    else:
        order = {(part, i): label for part in SPLITS for i, label in enumerate(split.numbered(part))}
    return order if split.numeric_order and groups.keys() <= order.keys() else {}


def _contradiction(group: _Group, found: Counter[str]) -> str:
    told = ", ".join(f"{label!r} ({count:,})" for label, count in found.most_common(4))
    return f"{_numbered(group)} is one class, its videos are of {len(found)}: {told}; these are not the lists' videos"


def _unknown(benchmark: Benchmark) -> str:
    cure = f"give the official annotations ({benchmark.annotations})" if benchmark.annotations else "give lists by name"
    return f"no published order of class numbers of {benchmark.title} fits, so that they do not say which class; {cure}"


def _numbered(group: _Group) -> str:
    return f"class number {group[1]}" + (f" of {group[0]}" if group[0] else "")


def _check_one_to_one(groups: dict[_Group, list[Row]], names: dict[_Group, str], faults: Faults) -> None:
    taken: dict[tuple[Split | None, str], _Group] = {}
    for group, name in names.items():
        other = taken.setdefault((group[0], name), group)
        if other != group:
            place = groups[group][0].place
            faults.add(place, f"{_numbered(group)} and {_numbered(other)} are both {name!r}; a class has one number")


def _unannotated(rows: list[Row], benchmark: Benchmark, annotations: Annotations) -> list[str]:
    count = sum(benchmark.key(row.line.video) not in annotations.labels for row in rows)
    return [f"listed videos that are not in the official annotations: {count:,}"] if count else []
