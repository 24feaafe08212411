"""What a test episode takes, measured on noise: weights and pixels decide nothing about the time."""

import time

import torch

from fsar_core.config import RunConfig
from fsar_core.cost import BASE_CLASSES
from fsar_core.episode import Episode
from fsar_core.precision import Precision, mixed


def latency_ms(
    run: RunConfig,
    device: torch.device,
    *,
    precision: Precision = "fp32",
    way: int = 5,
    shot: int = 1,
    queries: int = 1,
    repetitions: int = 7,
    warm_up: int = 2,
) -> float:
    """Milliseconds of a test episode from pixels on ``device`` to logits, without decoding or kept features.

    The fastest of ``repetitions``, after ``warm_up`` that do not count: other work on the machine only ever adds time.
    Raises ValueError for a method without heads, which answers no episode.
    """
    if not run.method.heads:
        raise ValueError("the latency of an episode needs a method with heads, got one without; name another run")
    data, videos = run.data, way * (shot + queries)
    method = run.method.for_test().build(frames=data.frames, crop=data.crop, classes=BASE_CLASSES).to(device).eval()
    drawn = torch.Generator().manual_seed(0)
    episode = Episode(
        videos=torch.randn((videos, data.frames, 3, data.crop, data.crop), generator=drawn),
        class_ids=torch.arange(way).repeat(shot + queries),
        way=way,
        shot=shot,
        query_labels=torch.arange(way).repeat_interleave(queries),
    ).to(device)
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(warm_up + repetitions):
            began = time.perf_counter()
            with mixed(device, precision):
                outputs = method.embed(episode)
            read = {name: outputs[name].float() for name in method.read_by_heads()}
            method.weighted([match.logits for match in method.match(read, way, shot)]).cpu()  # waits for the device
            times.append(time.perf_counter() - began)
    return 1000 * min(times[warm_up:])
