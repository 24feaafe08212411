"""Gives a backbone the weights that its config names. Nothing is downloaded unless the user has said so."""

import os
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from fsar_core.backbones.weights_file import WeightsError, WeightsFile, check_sha256, read_state_dict

_CLASSIFIERS = ("fc.", "classifier.", "heads.", "head.")


class Pretrained(Protocol):
    """A network that may start from stored weights."""

    def pretrained_part(self) -> nn.Module:
        """What a file of weights fits, once its classifier is left out."""
        ...


class PretrainedConfig(Protocol):
    """The configuration of such a network."""

    @property
    def weights(self) -> str | WeightsFile:
        """``none``, the name of published weights, or a file."""
        ...

    def published(self) -> tuple[str, str] | None:
        """Names of the model and of its published weights in torchvision; None where there are none."""
        ...


def load_weights(module: Pretrained, config: PretrainedConfig, folder: Path | None = None) -> None:
    """Raises WeightsError, with what to do, where the file is missing, is another one, or does not fit ``module``.

    ``folder``: the site's folder of weights. Published weights are also looked for where torch.hub keeps them, and are
    downloaded only if the environment variable FSAR_DOWNLOAD is 1. A classifier in a file is ignored.
    """
    weights = fitting_weights(module, config, folder)
    if weights:
        module.pretrained_part().load_state_dict(weights)


def fitting_weights(module: Pretrained, config: PretrainedConfig, folder: Path | None = None) -> dict[str, Tensor]:
    """What ``load_weights`` would load, and its errors; empty without stored weights. ``module`` may be on meta."""
    published = config.published()
    if isinstance(config.weights, WeightsFile):
        return _read(module.pretrained_part(), _site_file(config.weights, folder))
    if config.weights != "none":
        if published is None:
            raise WeightsError(
                f"no weights {config.weights!r} are published for this backbone; set weights to 'none' or to a file"
            )
        return _read(module.pretrained_part(), _published_file(published_url(*published), folder))
    return {}


def published_url(model: str, weights: str) -> str:
    """Where torchvision publishes weights; the file name ends with the start of the SHA-256."""
    from torchvision.models import get_model_weights  # takes seconds to import, and few calls come here

    return get_model_weights(model)[weights].url


def _published_file(url: str, folder: Path | None) -> Path:
    name = url.rpartition("/")[2]
    start = Path(name).stem.rpartition("-")[2]
    folders = ([] if folder is None else [folder]) + [Path(torch.hub.get_dir()) / "checkpoints"]
    for path in (place / name for place in folders):
        if path.is_file():
            check_sha256(path, start)
            return path
    if os.environ.get("FSAR_DOWNLOAD") != "1":
        raise WeightsError(
            f"the published weights {name} must lie in {' or '.join(map(str, folders))}; copy {url} there, or set "
            f"FSAR_DOWNLOAD=1 to have it downloaded to {folders[0]}"
        )
    folders[0].mkdir(parents=True, exist_ok=True)
    path = folders[0] / name
    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=start, progress=False)
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"{url} cannot be downloaded: {error}; copy it to {path} by other means") from error
    return path


def _site_file(file: WeightsFile, folder: Path | None) -> Path:
    if folder is None:
        raise WeightsError(f"the weights {file.name} must lie in the site's folder of weights, but the site names none")
    path = folder / file.name
    if not path.is_file():
        raise WeightsError(
            f"the weights {file.name} must lie in {folder}; copy the file with SHA-256 {file.sha256} there"
        )
    check_sha256(path, file.sha256)
    return path


def _read(layers: nn.Module, path: Path) -> dict[str, Tensor]:
    # A state dict of the whole backbone, as this project saves it, fits as well as torchvision's bare names.
    given = {name.removeprefix("trunk.layers."): tensor for name, tensor in read_state_dict(path).items()}
    given = {_of_today(name): tensor for name, tensor in given.items() if not name.startswith(_CLASSIFIERS)}
    faults = _faults(given, layers.state_dict())
    if faults:
        raise WeightsError(f"{path} does not fit the backbone of the config; " + "; ".join(faults))
    return given


def _of_today(name: str) -> str:
    """Files of vision transformers older than torchvision 0.13 call the layers of an MLP otherwise."""
    return name.replace(".mlp.linear_1.", ".mlp.0.").replace(".mlp.linear_2.", ".mlp.3.")


def _faults(given: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    # Files older than torch 0.4.1 lack these counters, which only an averaging without momentum reads.
    missing = [name for name in wanted.keys() - given.keys() if not name.endswith("num_batches_tracked")]
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted.keys() & given.keys()
        if given[name].shape != wanted[name].shape
    ]
    named = {"missing": missing, "unexpected": list(given.keys() - wanted.keys()), "of another shape": shapes}
    return [f"{what}: {', '.join(sorted(names))}" for what, names in named.items() if names]
