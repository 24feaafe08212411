"""Published few-shot splits and the lists that people have of them: read, checked, and matched with what is stored.
No video is opened."""

from fsar_core.data.listing.annotations import Annotations, read_annotations
from fsar_core.data.listing.benchmarks import BENCHMARKS, Benchmark
from fsar_core.data.listing.class_folders import listing_from_classes
from fsar_core.data.listing.listed import BadLists, Listed, Listing
from fsar_core.data.listing.matching import Matched, match
from fsar_core.data.listing.reading import read_lists
from fsar_core.data.listing.recognise import Recognised, recognise, which_known
from fsar_core.data.listing.stored import Stored

__all__ = [
    "BENCHMARKS",
    "Annotations",
    "BadLists",
    "Benchmark",
    "Listed",
    "Listing",
    "Matched",
    "Recognised",
    "Stored",
    "listing_from_classes",
    "match",
    "read_annotations",
    "read_lists",
    "recognise",
    "which_known",
]
