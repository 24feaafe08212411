"""Features on disk: read again bit by bit, shared where nothing can tell them apart, and never too many."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fsar_core import features
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import NORMALISATIONS, DataConfig, Flip, Limit
from fsar_core.data.frame_sampling import FrameSampling
from fsar_core.embedding import known_per_clip
from fsar_core.features import FeatureStore
from fsar_core.matchers import BiMhm, Otam, ProtoNet
from fsar_core.method import Head, Method, MethodConfig
from fsar_core.methods import sgtm
from fsar_core.precision import Precision
from tests.fsar_core import tiny
from tests.fsar_core.lively import built
from tests.fsar_core.sampler_cases import CASES, CROP, method_of
from tests.fsar_core.sampler_cases import FRAMES as SCANNED

CPU = torch.device("cpu")
BASELINE = tiny.METHODS["baseline"]
PLENTY = 1 << 30


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features", PLENTY)


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What was embedded, one entry a pass."""
    passes: list[tuple[str, ...]] = []
    original = features.embed_clips

    def noted(
        method: Method,
        source: ClipSource,
        device: torch.device,
        *,
        names: tuple[str, ...],
        sampling: FrameSampling | None,
        precision: Precision,
    ) -> dict[str, Tensor]:
        passes.append(names)
        return original(method, source, device, names=names, sampling=sampling, precision=precision)

    monkeypatch.setattr(features, "embed_clips", noted)
    return passes


def files(store: FeatureStore) -> list[Path]:
    return sorted(store.root.iterdir())


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(own, other[name]) for name, own in one.items())


def without_clips(source: ClipSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> Tensor:
        pytest.fail("a clip is read")

    monkeypatch.setattr(source, "test_videos", asked)


def test_features_are_read_again_without_a_clip_bit_by_bit(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tiny.clips("test")
    plain = known_per_clip(built(BASELINE), source, CPU)
    first = store.known_per_clip(built(BASELINE), source, CPU)
    without_clips(source, monkeypatch)
    again = FeatureStore(store.root, PLENTY).known_per_clip(built(BASELINE), source, CPU)
    assert same(first, plain)
    assert same(again, plain)
    assert again["matching"].dtype == torch.float32


def test_scans_are_read_again_without_a_clip_and_whatever_the_backbone(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny.data(augmented=False, crop=CROP).model_copy(update={"frames": SCANNED})
    source = tiny.clips("test", data)
    method = built(method_of(CASES["full"]), data=data)
    first = store.known_per_clip(method, source, CPU)
    without_clips(source, monkeypatch)
    with torch.no_grad():
        next(method.backbone.parameters()).add_(1)
    assert same(store.known_per_clip(method, source, CPU), first)
    assert set(first) == {"features", "maps"}


def test_methods_that_differ_in_heads_share_their_features(
    store: FeatureStore, embedded: list[tuple[str, ...]]
) -> None:
    heads = (Head(matcher=Otam.Config(), reads="matching"), Head(matcher=ProtoNet.Config(), reads="pooled"))
    whole = tiny.METHODS["encoder_only"].model_copy(update={"heads": heads})
    one_less = whole.model_copy(update={"heads": heads[1:]})
    other = whole.model_copy(update={"heads": (Head(matcher=BiMhm.Config(), reads="matching"),)})
    source = tiny.clips("test")
    known = store.known_per_clip(built(whole), source, CPU)
    for config in (one_less, other):
        assert same(
            store.known_per_clip(built(config), source, CPU),
            {head.reads: known[head.reads] for head in config.heads},
        )
    assert embedded == [("matching", "pooled")]


def test_only_the_features_that_are_missing_are_embedded(store: FeatureStore, embedded: list[tuple[str, ...]]) -> None:
    heads = (Head(matcher=Otam.Config(), reads="matching"), Head(matcher=ProtoNet.Config(), reads="pooled"))
    whole = tiny.METHODS["encoder_only"].model_copy(update={"heads": heads})
    source = tiny.clips("test")
    for config in (whole.model_copy(update={"heads": heads[1:]}), whole):
        known = store.known_per_clip(built(config), source, CPU)
    assert embedded == [("pooled",), ("matching",)]
    assert same(known, known_per_clip(built(whole), source, CPU))


def changed(name: str) -> Callable[[Method], None]:
    def change(method: Method) -> None:
        with torch.no_grad():
            method.state_dict()[name].add_(1)

    return change


@pytest.mark.parametrize("part", ["backbone.", "steps.encoded.", "steps.matching."])
def test_other_weights_on_the_way_are_other_features(store: FeatureStore, part: str) -> None:
    method, source = built(tiny.METHODS["encoder_only"]), tiny.clips("test")
    names = [name for name in method.state_dict() if name.startswith(part)]
    before = store.known_per_clip(method, source, CPU)["matching"]
    changed(names[0])(method)
    assert not torch.equal(store.known_per_clip(method, source, CPU)["matching"], before)


def test_statistics_of_batch_norms_count_as_weights(store: FeatureStore) -> None:
    method, source = built(BASELINE), tiny.clips("test")
    before = store.known_per_clip(method, source, CPU)["matching"]
    changed(next(name for name in method.state_dict() if name.endswith("running_mean")))(method)
    assert not torch.equal(store.known_per_clip(method, source, CPU)["matching"], before)


DATA = tiny.data(augmented=False)
OTHER_PIXELS: dict[str, DataConfig] = {
    "sampling": DATA.model_copy(update={"test_sampling": "linspace"}),
    "normalisation": DATA.model_copy(update={"normalisation": NORMALISATIONS["none"]}),
    "crop": DATA.model_copy(update={"crop": 12}),
    "jpeg": DATA.model_copy(update={"jpeg": 90}),
}
SAME_PIXELS: dict[str, DataConfig] = {
    "flip": DATA.model_copy(update={"flip": Flip(support=0.5)}),
    "train_sampling": DATA.model_copy(update={"train_sampling": "linspace", "random_crop": False}),
    "limit": DATA.model_copy(update={"limit": Limit(per_class=3)}),
}


@pytest.mark.parametrize("data", OTHER_PIXELS.values(), ids=OTHER_PIXELS)
def test_other_pixels_are_other_features(
    store: FeatureStore, embedded: list[tuple[str, ...]], data: DataConfig
) -> None:
    for own in (DATA, data):
        store.known_per_clip(built(BASELINE, data=DATA), tiny.clips("test", own), CPU)
    assert len(embedded) == len(files(store)) == 2


@pytest.mark.parametrize("data", SAME_PIXELS.values(), ids=SAME_PIXELS)
def test_what_only_training_sees_is_no_other_feature(
    store: FeatureStore, embedded: list[tuple[str, ...]], data: DataConfig
) -> None:
    for own in (DATA, data):
        store.known_per_clip(built(BASELINE, data=DATA), tiny.clips("test", own), CPU)
    assert len(embedded) == 1


def test_a_sampling_given_here_is_that_of_the_data(store: FeatureStore, embedded: list[tuple[str, ...]]) -> None:
    source = tiny.clips("test", OTHER_PIXELS["sampling"])
    first = store.known_per_clip(built(BASELINE), source, CPU)
    assert same(store.known_per_clip(built(BASELINE), tiny.clips("test", DATA), CPU, "linspace"), first)
    assert len(embedded) == 1


def test_other_clips_splits_precisions_and_code_are_other_features(
    store: FeatureStore, embedded: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    method, renamed, faster = built(BASELINE), tiny.clips("test"), tiny.clips("test")
    renamed.fingerprint = "0123456789abcdef"
    faster.clips = tuple(replace(clip, fps=25.0) for clip in faster.clips)
    for source in (tiny.clips("test"), renamed, faster, tiny.clips("val")):
        store.known_per_clip(method, source, CPU)
    store.known_per_clip(method, tiny.clips("test"), CPU, precision="bf16")
    monkeypatch.setattr(features, "_code", lambda: "changed")
    store.known_per_clip(method, tiny.clips("test"), CPU)
    assert len(embedded) == len(files(store)) == 6


@pytest.mark.parametrize("harm", ["flipped", "cut", "emptied", "renamed"])
def test_a_damaged_file_is_made_again(store: FeatureStore, embedded: list[tuple[str, ...]], harm: str) -> None:
    method, source = built(BASELINE), tiny.clips("test")
    first = {name: own.clone() for name, own in store.known_per_clip(method, source, CPU).items()}
    (path,) = files(store)
    content = bytearray(path.read_bytes())
    if harm == "renamed":  # the table of another method under this name
        store.known_per_clip(built(BASELINE, seed=4), source, CPU)
        (other,) = set(files(store)) - {path}
        content = bytearray(other.read_bytes())
    elif harm == "flipped":
        content[-5] ^= 1
    path.write_bytes(content[: {"cut": len(content) // 2, "emptied": 0}.get(harm, len(content))])
    embedded.clear()
    for _ in range(2):
        assert same(store.known_per_clip(method, source, CPU), first)
    assert len(embedded) == 1


def sized(store: FeatureStore) -> int:
    return sum(path.stat().st_size for path in files(store))


def test_what_was_used_last_stays_when_there_is_no_room(store: FeatureStore, embedded: list[tuple[str, ...]]) -> None:
    source = tiny.clips("test")
    a, b, c = (built(BASELINE, seed=seed) for seed in (1, 2, 3))
    for moment, method in enumerate((a, b)):
        store.known_per_clip(method, source, CPU)
        for path in files(store):
            os.utime(path, (moment + path.stat().st_mtime - 1000, moment + path.stat().st_mtime - 1000))
    bounded = FeatureStore(store.root, sized(store))
    bounded.known_per_clip(a, source, CPU)  # now b was not used for longest
    bounded.known_per_clip(c, source, CPU)
    assert len(files(store)) == 2
    embedded.clear()
    bounded.known_per_clip(a, source, CPU)
    bounded.known_per_clip(c, source, CPU)
    assert embedded == []
    bounded.known_per_clip(b, source, CPU)
    assert len(embedded) == 1


def test_files_of_others_in_the_folder_are_never_removed(tmp_path: Path) -> None:
    root = tmp_path / "features"
    root.mkdir()
    other = root / "resnet50.safetensors"
    other.write_bytes(bytes(10_000_000))
    os.utime(other, (0, 0))
    store, source = FeatureStore(root, 100_000), tiny.clips("test")
    store.known_per_clip(built(BASELINE), source, CPU)
    assert len(list(root.iterdir())) == 2
    assert other.stat().st_size == 10_000_000


@pytest.mark.parametrize("limit", [0, 1000])
def test_nothing_is_kept_where_it_would_exceed_the_limit(tmp_path: Path, limit: int) -> None:
    bounded = FeatureStore(tmp_path / "features", limit)
    source = tiny.clips("test")
    assert same(bounded.known_per_clip(built(BASELINE), source, CPU), known_per_clip(built(BASELINE), source, CPU))
    assert list(tmp_path.glob("features/*")) == []


def test_a_disk_that_would_be_full_keeps_nothing(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = features.shutil.disk_usage("/")._replace(free=1 << 30)

    def disk(_: Path) -> object:
        return usage

    monkeypatch.setattr(features.shutil, "disk_usage", disk)
    store.known_per_clip(built(BASELINE), tiny.clips("test"), CPU)
    assert files(store) == []


def test_what_half_precision_computed_takes_half_the_bytes_and_loses_nothing(store: FeatureStore) -> None:
    last_is_a_product = sgtm.encoder_only(tiny.BACKBONE)
    pooled: MethodConfig = last_is_a_product.model_copy(
        update={"heads": (Head(matcher=Otam.Config(), reads="pooled"),)}
    )
    source = tiny.clips("test")
    wide = store.known_per_clip(built(pooled), source, CPU)["pooled"]
    size = sized(store)
    narrow = store.known_per_clip(built(pooled), source, CPU, precision="bf16")["pooled"]
    assert sized(store) - size < 0.6 * size
    again = store.known_per_clip(built(pooled), source, CPU, precision="bf16")["pooled"]
    assert torch.equal(again, narrow)
    assert again.dtype == torch.float32
    assert not torch.equal(narrow, wide)
    torch.testing.assert_close(narrow, wide, rtol=0.05, atol=0.05)
