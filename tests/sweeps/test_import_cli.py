"""``fsar data import``: each download and frame store in miniature, what is refused, and the data set it leaves."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from fsar_core.data.clip_index import BadDataset, ClipIndex
from fsar_core.data.datasets import open_index
from fsar_core.data.folder_scan import SPLITS
from fsar_core.data.listing import BENCHMARKS
from fsar_core.data.manifest import read_manifest
from sweeps.engine.import_cli import import_data
from sweeps.engine.site import BadRequest, Site, load_site
from tests.fsar_core.stores.made_stores import names, write_frames, write_zip
from tests.fsar_core.videos import write_video
from tests.sweeps.made_folder import files, refusals, write_site

ODD = "Clip_#&(1)+;@[x]~!_brush_hair_u_nm_np1_fr_med_0"
SMALL = ("--shot", "1")

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(import_data)


def imported(folder: Path, dataset: str, root: Path, *flags: str) -> Result:
    site = folder / "site.toml"
    if not site.exists():
        head = f'imports = "{folder / "imports"}"'
        write_site(folder, folder / "none", head=head)
        site.write_text(site.read_text().replace("[datasets.hmdb51]", "[datasets.other]"))
    return CliRunner().invoke(app, [dataset, str(root), "--site", str(site), *flags])


def site_of(folder: Path) -> Site:
    return load_site(str(folder / "site.toml"))


def index_of(folder: Path, dataset: str) -> ClipIndex:
    return open_index(site_of(folder).place(dataset))


def report_of(result: Result) -> Any:
    return json.loads(result.stdout)


def write_lists(folder: Path, lines: dict[str, list[str]], pattern: str = "{}list03.txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, own in lines.items():
        (folder / pattern.format(split)).write_text("\n".join(own) + "\n")
    return folder


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("v") / "v.mp4", 9, height=48, width=64).read_bytes()


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


LINES = {split: [f"{split} {label}/v{number}" for label in "ab" for number in range(2)] for split in SPLITS}


@pytest.fixture
def root(tmp_path: Path, video: bytes) -> Path:
    """Two classes a split, two videos each, in class folders."""
    for own in LINES.values():
        for line in own:
            put(tmp_path / "data" / f"{line}.mp4", video)
    return tmp_path / "data"


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    return write_lists(tmp_path / "lists", LINES)


def test_lists_and_videos_become_a_data_set_that_runs_can_name(tmp_path: Path, root: Path, lists: Path) -> None:
    result = imported(tmp_path, "mine", root, "--lists", str(lists), *SMALL)
    assert result.exit_code == 0, result.output
    index = index_of(tmp_path, "mine")
    assert [clip.name for clip in index.of("train")] == LINES["train"]
    assert {split: index.labels(split) for split in SPLITS} == {s: (f"{s} a", f"{s} b") for s in SPLITS}
    assert index.fingerprint in result.output
    place = site_of(tmp_path).place("mine")
    assert place.mask_root() == root / "masks"
    assert (tmp_path / "imports" / "mine.parquet").is_file()


def test_what_was_opened_is_remembered(tmp_path: Path, root: Path, lists: Path) -> None:
    imported(tmp_path, "mine", root, "--lists", str(lists), *SMALL)
    counts: list[int] = []
    open_index(site_of(tmp_path).place("mine"), lambda _: lambda done, _total: counts.append(done))
    assert counts == [12]


def layouts() -> dict[str, Any]:
    every = [line for own in LINES.values() for line in own]

    def as_split_folders(root: Path) -> None:
        for split, own in LINES.items():
            for line in own:
                write_frames(root / split / line, names(9, digits=6))

    def as_class_folders(root: Path) -> None:
        for line in every:
            write_frames(root / line, names(9, kind="png"))

    def as_zip(root: Path) -> None:
        write_zip(root / "store.zip", [f"data/{line}" for line in every], names(9))

    def as_two_zips(root: Path) -> None:
        write_zip(root / "1.zip", [f"data/{line}" for line in every[:5]], names(9), packed=True)
        write_zip(root / "2.zip", [f"data/{line}" for line in every[5:]], names(9))

    return {"splits": as_split_folders, "classes": as_class_folders, "zip": as_zip, "zips": as_two_zips}


@pytest.mark.parametrize("layout", layouts())
def test_frame_stores_are_used_in_place(tmp_path: Path, lists: Path, layout: str) -> None:
    root = tmp_path / "store"
    layouts()[layout](root)
    before = files(root)
    result = imported(tmp_path, "mine", root, "--lists", str(lists), "--fps", "12", *SMALL)
    assert result.exit_code == 0, result.output
    index = index_of(tmp_path, "mine")
    assert [clip.name for clip in index.of("test")] == LINES["test"]
    assert {(clip.frames, clip.height, clip.width, clip.fps) for clip in index.clips} == {(9, 24, 32, 12.0)}
    assert files(root) == before


def test_a_zip_is_a_root(tmp_path: Path, lists: Path) -> None:
    path = write_zip(tmp_path / "s.zip", [line for own in LINES.values() for line in own])
    result = imported(tmp_path, "mine", path, "--lists", str(lists), *SMALL)
    assert result.exit_code == 0, result.output
    assert "thinned store: no temporal jitter" in " ".join(result.output.split())
    assert len(index_of(tmp_path, "mine").clips) == 12


def test_the_rate_of_frames_is_part_of_the_fingerprint(tmp_path: Path, lists: Path) -> None:
    path = write_zip(tmp_path / "s.zip", [line for own in LINES.values() for line in own])
    prints = set[str]()
    for fps in ("0", "12", "25"):
        imported(tmp_path, "mine", path, "--lists", str(lists), "--fps", fps, *SMALL)
        prints.add(index_of(tmp_path, "mine").fingerprint)
    assert len(prints) == 3


def test_folders_train_val_test_need_no_lists(tmp_path: Path, video: bytes) -> None:
    for split in SPLITS:
        for number in range(2):
            put(tmp_path / "own" / split / f"{split} x" / f"{ODD}{number}.avi", video)
    result = imported(tmp_path, "mine", tmp_path / "own", *SMALL)
    assert result.exit_code == 0, result.output
    assert [clip.name for clip in index_of(tmp_path, "mine").of("val")] == [f"val x/{ODD}{number}" for number in (0, 1)]


def write_hmdb51(root: Path, video: bytes) -> Path:
    split = BENCHMARKS["hmdb51"].split
    for label in (*split.train, *split.val, *split.test):
        for number in range(2):
            put(root / label / f"{ODD}{number}.avi", video)
    return root


def test_hmdb51_needs_its_videos_only(tmp_path: Path, video: bytes) -> None:
    root = write_hmdb51(tmp_path / "hmdb51_org", video)
    (fault,) = refusals(imported(tmp_path, "hmdb51", root, *SMALL))
    assert "fewer videos than hmdb51 has as published: 62 of 4280 in train, 20 of 1194 in val" in fault
    result = imported(tmp_path, "hmdb51", root, "--allow-missing", "--json", *SMALL)
    assert result.exit_code == 0, result.output
    report = report_of(result)
    assert [(s["split"], s["classes"], s["published"], s["found"]) for s in report["splits"]] == [
        ("train", 31, 4280, 62),
        ("val", 10, 1194, 20),
        ("test", 10, 1292, 20),
    ]
    assert report["version"].startswith("HMDB51, split of ARN")
    assert [(r["container"], r["reader"], r["clips"]) for r in report["readers"]] == [("avi", "decord", 102)]


def test_missing_videos_are_refused_until_they_are_allowed(tmp_path: Path, root: Path, lists: Path) -> None:
    (root / "train a" / "v1.mp4").unlink()
    (root / "val b" / "v0.mp4").unlink()
    result = imported(tmp_path, "mine", root, "--lists", str(lists), *SMALL)
    missing, small = refusals(result)
    assert "2 of 12 videos are not below" in missing
    assert "train a/v1, val b/v0" in missing
    assert "--allow-missing" in missing
    assert "need 2 videos a class: train 'train a' has 1 of 2, val 'val b' has 1 of 2" in small
    assert "no clip was opened" in result.output
    assert not (tmp_path / "imports").exists()
    allowed = imported(tmp_path, "mine", root, "--lists", str(lists), "--allow-missing", *SMALL)
    (small,) = refusals(allowed)
    for label in ("train a", "val b"):
        put(root / label / "v7.mp4", (root / "test a" / "v0.mp4").read_bytes())
    more = {**LINES, "train": [*LINES["train"], "train a/v7"], "val": [*LINES["val"], "val b/v7"]}
    write_lists(lists, more)
    good = imported(tmp_path, "mine", root, "--lists", str(lists), "--allow-missing", *SMALL)
    assert good.exit_code == 0, good.output
    assert read_manifest(tmp_path / "imports" / "mine.parquet").facts.missing == ("train a/v1", "val b/v0")


def test_unreadable_videos_are_refused_until_they_are_allowed(tmp_path: Path, root: Path, lists: Path) -> None:
    put(root / "test a" / "v2.mp4", b"no video")
    write_lists(lists, {**LINES, "test": [*LINES["test"], "test a/v2"]})
    named, last = refusals(imported(tmp_path, "mine", root, "--lists", str(lists), *SMALL))
    assert "v2.mp4: not a video that can be decoded" in named
    assert "1 videos cannot be read" in last
    assert "--allow-unreadable" in last
    result = imported(tmp_path, "mine", root, "--lists", str(lists), "--allow-unreadable", *SMALL)
    assert result.exit_code == 0, result.output
    ((name, reason),) = index_of(tmp_path, "mine").excluded
    assert name == "test a/v2"
    assert reason.startswith("not a video")


def test_a_clip_that_went_after_the_import_is_a_fault(tmp_path: Path, root: Path, lists: Path) -> None:
    imported(tmp_path, "mine", root, "--lists", str(lists), *SMALL)
    (root / "test a" / "v0.mp4").unlink()
    with pytest.raises(BadDataset, match="import mine again"):
        index_of(tmp_path, "mine")


def test_links_out_of_the_root_and_hostile_lists_are_refused_at_once(tmp_path: Path, root: Path, lists: Path) -> None:
    outside = tmp_path / "secret.mp4"
    put(outside, b"")
    (root / "train a" / "v9.mp4").symlink_to(outside)
    hostile = ["../../secret", "/etc/passwd", "train a/..", "[a]*/../v0"]
    write_lists(lists, {**LINES, "train": [*LINES["train"], *hostile]})
    text = "\n".join(refusals(imported(tmp_path, "mine", root, "--lists", str(lists), *SMALL)))
    assert "a link that leaves" in text
    assert "trainlist03.txt" in text
    assert not (tmp_path / "imports").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("HMDB51", "{root}"), "dataset: String should match pattern"),
        (("motionshapes", "{root}"), "the project makes itself"),
        (("other", "{root}"), "has [datasets.other], which would be used instead"),
        (("mine", "{root}"), "must come from --lists"),
        (("mine", "{root}/none"), "no such folder or zip"),
        (("kinetics100", "{root}"), "Kinetics-100 is a choice of videos that only lists name"),
        (("ssv2_full", "{root}"), "SSv2-Full needs --annotations"),
        (("mine", "{root}", "--annotations", "{root}"), "only known benchmarks have official annotations"),
        (("mine", "{root}", "--shot", "0"), "--shot: Input should be greater than or equal to 1, got 0"),
        (("mine", "{root}", "--fps", "-1"), "--fps: Input should be greater than or equal to 0"),
        (("mine", "{root}", "--lists", "{root}/none"), "none"),
    ],
)
def test_what_cannot_be_imported_is_refused(tmp_path: Path, root: Path, words: tuple[str, ...], said: str) -> None:
    dataset, place, *flags = (word.format(root=root) for word in words)
    result = imported(tmp_path, dataset, Path(place), *flags)
    assert any(said in fault.replace("this project", "the project") for fault in refusals(result)), result.output
    assert not (tmp_path / "imports").exists()


def test_json_of_a_refusal_has_the_faults(tmp_path: Path, root: Path) -> None:
    result = imported(tmp_path, "mine", root, "--json")
    assert result.exit_code == 2
    assert "must come from --lists" in report_of(result)["faults"][0]


def test_an_unknown_name_tells_of_both_kinds(tmp_path: Path, root: Path, lists: Path) -> None:
    imported(tmp_path, "mine", root, "--lists", str(lists), *SMALL)
    for name in ("nothing", "../mine"):
        with pytest.raises(BadRequest) as refusal:
            site_of(tmp_path).place(name)
        near = "" if name == "nothing" else " Did you mean 'mine'?"
        assert f"it has: other; imported are: mine.{near} Run `fsar data import" in str(refusal.value)


def test_a_damaged_manifest_is_refused(tmp_path: Path, root: Path, lists: Path) -> None:
    imported(tmp_path, "mine", root, "--lists", str(lists), *SMALL)
    (tmp_path / "imports" / "mine.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadRequest, match="not what an import writes"):
        site_of(tmp_path).place("mine")


@pytest.mark.parametrize("columns", ["100", "150"])
def test_the_report_fits_the_terminal(
    tmp_path: Path, root: Path, lists: Path, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    put(root / "test a" / "v2.mp4", b"no video")
    write_lists(lists, {**LINES, "test": [*LINES["test"], "test a/v2", "test a/v3"]})
    result = imported(tmp_path, "mine", root, "--lists", str(lists), "--allow-missing", "--allow-unreadable", *SMALL)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= int(columns)
    for word in ("unreadable", "ambiguous", "fewer", "Classes that lack videos", "Who reads the clips", "…"):
        assert (word in result.output) == (word != "…"), word
