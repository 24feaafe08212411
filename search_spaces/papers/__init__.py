"""What the papers print, and what it takes to run it again. A paper is a file here with a ``PAPER``: it is found by its
name."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from search_spaces.papers.paper import Paper


@cache
def all_papers() -> dict[str, Paper]:
    """By the name of the paper, sorted."""
    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)]
    papers = [module.PAPER for module in modules if hasattr(module, "PAPER")]
    return {paper.name: paper for paper in sorted(papers, key=lambda paper: paper.name)}
