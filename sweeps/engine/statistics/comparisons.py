"""Many comparisons in one table."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values in the order given: those below 0.05 are wrong together in at most 5 % of tables (Holm 1979).

    Holds for any dependence, so also for rows that share episodes and a reference. Give all comparisons that were
    looked at, not only those that are shown.
    """
    p = np.asarray(p_values, np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be from 0 to 1; there are {list(p_values)}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())
