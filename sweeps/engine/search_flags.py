"""The flags of a search."""

from typing import Annotated

import typer

from search_spaces.space import COSTS
from sweeps.engine.search_asked import NO_COST, SAMPLERS

_PANEL = "Search"

SearchFlag = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Instead of the table, a study of N points with Optuna; +N: so many more than it holds.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
SamplerFlag = Annotated[str, typer.Option(help=f"{', '.join(SAMPLERS)}.", rich_help_panel=_PANEL)]
CostFlag = Annotated[
    str | None,
    typer.Option(
        help=f"What is weighed against accuracy: {', '.join(COSTS)}, {NO_COST}; by default as the space has it.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
CheapFlag = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Try N points with a frozen backbone first, and promote the best of them. 0: none.",
        rich_help_panel=_PANEL,
    ),
]
FinalsFlag = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Train the N best points and the paper's setting from three seeds and compare them. 0: none.",
        rich_help_panel=_PANEL,
    ),
]
PathFlag = Annotated[
    bool,
    typer.Option(
        "--path/--no-path",
        help="Measure the way from the paper's setting to the best point, change by change.",
        rich_help_panel=_PANEL,
    ),
]
StoppingFlag = Annotated[
    bool | None,
    typer.Option(
        "--stopping/--no-stopping",
        help="Stop weak points early (ASHA); by default where no cost is weighed against accuracy.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
