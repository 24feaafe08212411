"""The methods. A new one is a file here with a ``METHOD``: it is found by its name."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from fsar_core.methods.published import PublishedMethod

LEFT_OUT = {
    "molo": "MoLo is not built: no other method has its motion autoencoder, and I2ST needs only 3 trainings of it; "
    "its matching on frames alone is frame_matching/bimhm"
}
"""Methods that the four papers train beside their own and that do not exist here, with the reason."""


@cache
def all_methods() -> dict[str, PublishedMethod]:
    """By the name of the module, sorted."""
    modules = {info.name: import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)}
    return {name: module.METHOD for name, module in sorted(modules.items()) if hasattr(module, "METHOD")}
