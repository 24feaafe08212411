"""Which of the papers' data sets a name stands for."""

PAPER_DATASETS = ("hmdb51", "ucf101", "kinetics100", "ssv2_small", "ssv2_full")
NEAREST = "hmdb51"
"""Whose numbers any other data set gets: the smallest one, with the fewest steps."""


def paper_dataset(dataset: str) -> str | None:
    """The data set of the papers that this is a version of: ``ssv2_full_77k`` is SSv2-Full. None: of none."""
    return next((known for known in PAPER_DATASETS if dataset == known or _is_version(dataset, known)), None)


def like(dataset: str) -> str:
    """Whose published numbers it gets."""
    return paper_dataset(dataset) or NEAREST


def is_ssv2(dataset: str) -> bool:
    """Whether classes differ in left and right, and clips in the ways of Something-Something."""
    return dataset.startswith("ssv2")


def _is_version(dataset: str, known: str) -> bool:
    return dataset.startswith(known) and dataset[len(known)] in "_-."
