"""What is read of a file, and what of it is refused; nothing in a file may run."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fsar_core.foreign import CheckpointError, read_checkpoint
from tests.fsar_core.foreign.foreign_files import write_alibaba, write_trx

STATE = {"resnet.module.0.weight": torch.ones(2), "transformers.0.k_linear.bias": torch.zeros(3)}


class Harm:
    """Unpickling it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    return str(caught.value)


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_a_training_state_gives_its_weights_without_module_and_says_what_else_it_holds(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(write_trx(tmp_path / "checkpoint.pt", STATE, 10000))
    assert list(checkpoint.weights) == ["resnet.0.weight", "transformers.0.k_linear.bias"]
    assert (checkpoint.key, checkpoint.parallel) == ("model_state_dict", 1)
    assert checkpoint.others["iteration"] == "10000"
    assert checkpoint.others["optimizer_state_dict"] == "2 entries"
    assert set(checkpoint.others) == {"iteration", "optimizer_state_dict", "scheduler"}


def test_settings_are_read_from_json_text(tmp_path: Path) -> None:
    text = json.dumps({"TRAIN": {"SHOT": 5}, "NOTE": "x" * 50})
    checkpoint = read_checkpoint(write_alibaba(tmp_path / "a.pyth", STATE, text))
    assert checkpoint.settings == json.loads(text)
    assert checkpoint.others["cfg"] == f"str of {len(text)} characters"
    assert "JSON" in refused(write_alibaba(tmp_path / "b.pyth", STATE, "TRAIN: {}"))
    assert read_checkpoint(write_alibaba(tmp_path / "c.pyth", STATE, None)).settings == {}


def test_weights_alone_and_safetensors_are_read_too(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    for path in (saved(tmp_path / "final.pt", STATE), tmp_path / "a.safetensors"):
        checkpoint = read_checkpoint(path)
        assert checkpoint.key is None
        assert torch.equal(checkpoint.weights["resnet.0.weight"], torch.ones(2))


def test_the_format_of_torch_before_1_6_is_read(tmp_path: Path) -> None:
    torch.save({"model_state_dict": STATE}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(tmp_path / "old.pt").weights["resnet.0.weight"], torch.ones(2))


@pytest.mark.parametrize("modern", [True, False])
def test_a_file_with_code_in_it_is_refused_and_runs_nothing(tmp_path: Path, modern: bool) -> None:
    mark, path = tmp_path / "mark", tmp_path / "bad.pt"
    torch.save({"model_state_dict": STATE, "args": Harm(mark)}, path, _use_new_zipfile_serialization=modern)
    said = refused(path)
    assert "posix.mkdir" in said
    assert "write its weights alone once" in said
    assert not mark.exists()


def test_a_bare_pickle_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "bad.pt"
    path.write_bytes(pickle.dumps(Harm(mark)))
    refused(path)
    assert not mark.exists()


def test_objects_that_are_no_plain_containers_are_named(tmp_path: Path) -> None:
    from argparse import Namespace

    said = refused(saved(tmp_path / "a.pt", {"state_dict": STATE, "args": Namespace(way=5)}))
    assert "argparse.Namespace" in said


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ([1, 2], "holds a list"),
        ({}, "holds nothing"),
        ({"state_dict": {"a": torch.ones(1), "b": 3}}, "no tensors are b (int)"),
        ({"epoch": 3, "net": {"a": torch.ones(1)}}, "no tensors are epoch (int), net (dict)"),
        ({"a.module.b": torch.ones(1), "a.b": torch.ones(1)}, "with and without 'module' in the name: a.b"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object, part: str) -> None:
    assert part in refused(saved(tmp_path / "a.pt", content))


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    assert "there is no such file" in refused(tmp_path / "none.pt")
    whole = write_trx(tmp_path / "a.pt", STATE).read_bytes()
    for name, content in (("cut.pt", whole[: len(whole) // 2]), ("text.pt", b"not weights"), ("empty.pt", b"")):
        (tmp_path / name).write_bytes(content)
        assert "is damaged" in refused(tmp_path / name)
    (tmp_path / "bad.safetensors").write_bytes(b"0123456789")
    assert "cannot be read" in refused(tmp_path / "bad.safetensors")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux shows what a process has mapped")
def test_tensors_are_read_from_disk_when_they_are_used(tmp_path: Path) -> None:
    """A file with an optimiser's state three times its weights' size costs the memory of the weights only."""
    path = write_trx(tmp_path / "a.pt", STATE)
    checkpoint = read_checkpoint(path)
    assert str(path) in Path("/proc/self/maps").read_text()
    assert torch.equal(checkpoint.weights["resnet.0.weight"], torch.ones(2))
