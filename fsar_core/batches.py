"""What a training step sees, as a pure function of (run, step); and the look that selects a run's weights."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np
import torch

from fsar_core.config import ClipBatches, EpisodeBatches, RunConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import Normalisation
from fsar_core.data.episodes import draw_episodes, fixed_episodes
from fsar_core.data.folder_scan import Split
from fsar_core.data.transforms import normalise
from fsar_core.embedding import embed_clips
from fsar_core.episode import Clips, Episode
from fsar_core.evaluate import evaluate_episodes
from fsar_core.given import GivenClips, embed_given
from fsar_core.losses import Classification
from fsar_core.method import Method
from fsar_core.seeds import generator

AnyClips = TypeVar("AnyClips", bound=Clips)

_NO_GIVEN: Mapping[Split, GivenClips] = {}
VAL_WAY = 5
"""Largest way of the episodes that select; fewer classes give fewer ways."""


class Batches(Protocol):
    """Both kinds of training data, to ``train``."""

    def drawn(self, step: int) -> Iterator[Clips]:
        """The batches whose gradients are averaged in step ``step``, counted from 1, as they are stored. Steps may be
        drawn in any order, by one thread at a time."""
        ...

    def placed(self, clips: Clips) -> Clips:
        """A drawn batch, normalised and on the device."""
        ...

    def validate(self, method: Method) -> float:
        """Accuracy on what selects the weights."""
        ...


class EpisodeStream:
    """Episodes drawn from the train classes, looks at fixed episodes of the classes that select."""

    def __init__(
        self,
        run: RunConfig,
        train: ClipSource,
        selecting: ClipSource,
        device: torch.device,
        given: Mapping[Split, GivenClips] = _NO_GIVEN,
    ) -> None:
        """``selecting`` are clips of the split ``run.selection.on``. Raises ValueError if they are others.

        ``given``: what ``given_clips`` gives of both; empty: every step starts from frames.
        """
        assert isinstance(run.batches, EpisodeBatches)
        if selecting.split != run.selection.on:
            raise ValueError(f"selection.on is {run.selection.on!r}, but the clips to look at are {selecting.split!r}")
        self._run, self._shape, self._train, self._device = run, run.batches, train, device
        self._selecting, self._given = selecting, given
        self._looked_at = fixed_episodes(
            selecting.members,
            way=min(VAL_WAY, len(selecting.labels)),
            shot=run.batches.shot,
            queries=1,
            count=run.selection.episodes,
            seed=run.selection.seed,
            fingerprint=selecting.fingerprint,
        )

    def drawn(self, step: int) -> Iterator[Episode]:
        for i in range(self._shape.per_step):
            yield self._episode(generator(self._run.seed, "train episode", step, i))

    def placed(self, clips: AnyClips) -> AnyClips:
        return _placed(clips, self._device, self._run.data.normalisation)

    def of_step(self, step: int) -> Iterator[Episode]:
        """``drawn``, each one ``placed``."""
        return map(self.placed, self.drawn(step))

    def validate(self, method: Method) -> float:
        given = self._given.get(self._selecting.split)
        known = None if given is None else embed_given(method, given, self._device)
        return evaluate_episodes(method, self._selecting, self._looked_at, self._device, known=known).accuracy

    def _episode(self, rng: np.random.Generator) -> Episode:
        shape = self._shape
        drawn = draw_episodes(self._train.members, way=shape.way, shot=shape.shot, queries=shape.queries, rng=rng)
        positions = np.concatenate([drawn.support[0].ravel(), drawn.query[0]])
        is_query = np.arange(len(positions)) >= shape.way * shape.shot
        clips = _training_clips(self._run, self._train, self._given.get("train"), positions, is_query, rng)
        return Episode(**vars(clips), way=shape.way, shot=shape.shot, query_labels=torch.from_numpy(drawn.labels))


class ClipStream:
    """Shuffled batches of labelled train clips; some clips of every class are held out and select the weights."""

    def __init__(
        self,
        run: RunConfig,
        train: ClipSource,
        device: torch.device,
        given: Mapping[Split, GivenClips] = _NO_GIVEN,
    ) -> None:
        """``given``: what ``given_clips`` gives of the train clips; empty: every step starts from frames."""
        assert isinstance(run.batches, ClipBatches)
        self._run, self._shape, self._source, self._device = run, run.batches, train, device
        held = [self._held_out(i, own) for i, own in enumerate(train.members)]
        self._held = np.concatenate(held)
        self._kept = np.setdiff1d(np.arange(len(train)), self._held)
        self._given = given.get("train")

    def drawn(self, step: int) -> Iterator[Clips]:
        size = min(self._shape.size, len(self._kept))
        per_epoch = len(self._kept) // size
        epoch, batch = divmod(step - 1, per_epoch)
        order = generator(self._run.seed, "clip order", epoch).permutation(self._kept)
        yield self._clips(order[batch * size : (batch + 1) * size], generator(self._run.seed, "train clips", step))

    def placed(self, clips: AnyClips) -> AnyClips:
        return _placed(clips, self._device, self._run.data.normalisation)

    def of_step(self, step: int) -> Iterator[Clips]:
        """``drawn``, each one ``placed``."""
        return map(self.placed, self.drawn(step))

    @torch.inference_mode()
    def validate(self, method: Method) -> float:
        loss = next(own for own in method.losses if isinstance(own, Classification))
        scored = loss.config.reads
        if self._given is None:
            scores = embed_clips(method, self._source, self._device, names=(scored,), positions=self._held)[scored]
        else:
            was_training = method.training
            method.eval()
            held = self.placed(self._clips(self._held, generator(self._run.seed, "held out")))
            scores = method.embed(held)[scored]
            method.train(was_training)
        predicted = loss.logits(scores.float()).argmax(1).cpu().numpy()
        return float((predicted == self._source.class_ids[self._held]).mean())

    def _held_out(self, label: int, own: np.ndarray) -> np.ndarray:
        count = min(len(own) - 1, max(1, round(self._shape.held_out * len(own))))
        return generator(self._run.seed, "held out clips", label).permutation(own)[:count]

    def _clips(self, positions: np.ndarray, rng: np.random.Generator) -> Clips:
        of_support = np.zeros(len(positions), dtype=bool)
        return _training_clips(self._run, self._source, self._given, positions, of_support, rng)


def _placed(clips: AnyClips, device: torch.device, normalisation: Normalisation) -> AnyClips:
    moved = clips.to(device)
    return moved if moved.given is not None else replace(moved, videos=normalise(moved.videos, normalisation))


def _training_clips(
    run: RunConfig,
    source: ClipSource,
    given: GivenClips | None,
    positions: np.ndarray,
    is_query: np.ndarray,
    rng: np.random.Generator,
) -> Clips:
    """Given, or as videos, with masks where the run needs them: the draws are the same with and without."""
    ids = torch.from_numpy(source.class_ids[positions])
    if given is not None:
        masks, has_mask = source.test_masks(positions) if run.method.needs_masks() else (None, None)
        rows = given.rows(positions)
        return Clips(videos=rows, class_ids=ids, given=given.step, masks=masks, has_mask=has_mask)
    if not run.method.needs_masks():
        return Clips(videos=source.train_videos(positions, is_query, rng), class_ids=ids)
    clips = source.masked_videos(positions, is_query, rng)
    return Clips(videos=clips.videos, class_ids=ids, masks=clips.masks, has_mask=clips.has_mask)
