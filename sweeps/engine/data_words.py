"""How clips are read and shown to a net, in a few words."""

from fsar_core.data.config import NORMALISATIONS, DataConfig, Flip, Jitter, Normalisation
from fsar_core.data.resize import Resize


def pixels(data: DataConfig) -> str:
    """From a stored frame to what the net sees."""
    crop = f"{'random ' if data.random_crop else ''}crops of {data.crop}"
    parts = (resize_text(data.resize), crop, flip_text(data.flip), jitter_text(data.jitter))
    return f"{', '.join(parts)}, normalisation {normalisation_text(data.normalisation)}"


def resize_text(resize: Resize) -> str:
    return f"squeezed to {resize.size}x{resize.size}" if resize.mode == "squeeze" else f"short side {resize.size}"


def flip_text(flip: Flip) -> str:
    return _of_clips("flips", f"{flip.support:g}" if flip.support else "", f"{flip.query:g}" if flip.query else "")


def jitter_text(jitter: Jitter | None) -> str:
    if jitter is None:
        return "no colour jitter"
    amounts = f"{jitter.brightness:g}/{jitter.contrast:g}/{jitter.saturation:g}/{jitter.hue:g}, grey {jitter.grey:g}"
    return _of_clips("colour jitter", amounts if jitter.support else "", amounts if jitter.query else "")


def normalisation_text(normalisation: Normalisation) -> str:
    """Its name where it has one."""
    named = next((name for name, known in NORMALISATIONS.items() if known == normalisation), None)
    return named or f"mean {normalisation.mean}, std {normalisation.std}"


def _of_clips(what: str, support: str, query: str) -> str:
    if not support and not query:
        return f"no {what}"
    if support == query:
        return f"{what} {support} of all clips"
    named = (("supports", support), ("queries", query))
    return f"{what} " + " and ".join(f"{amount} of {clips}" for clips, amount in named if amount)
