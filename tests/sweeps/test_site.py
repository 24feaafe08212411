"""Site files: the shipped ones load, and a bad one is refused with all its faults."""

from pathlib import Path

import pytest

from sweeps.engine.site import SITES, BadRequest, load_site

GOOD = '[datasets.hmdb51]\nroot = "videos"\n'


def written(folder: Path, text: str) -> str:
    path = folder / "site.toml"
    path.write_text(text)
    return str(path)


def faults_of(name: str) -> list[str]:
    with pytest.raises(BadRequest) as refusal:
        load_site(name)
    return refusal.value.faults


@pytest.mark.parametrize("name", sorted(path.stem for path in SITES.glob("*.toml")))
def test_a_shipped_site_loads_by_its_name(name: str) -> None:
    site = load_site(name)
    assert "motionshapes" in site.datasets
    assert site.place("motionshapes").cache == site.cache


def test_the_documented_sites_are_shipped() -> None:
    assert {path.stem for path in SITES.glob("*.toml")} >= {"laptop", "one_gpu", "cluster"}


def test_relative_paths_start_at_the_current_folder_and_become_absolute_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = written(tmp_path, f'storage = "out"\nweights = "w"\ncache = "~/cache"\n{GOOD}')
    site = load_site(name)
    monkeypatch.chdir("/")
    assert site.storage == tmp_path / "out"
    assert site.weights == tmp_path / "w"
    assert site.datasets["hmdb51"].root == tmp_path / "videos"
    assert site.cache == Path.home() / "cache"
    assert site.mlflow_uri() == f"sqlite:///{tmp_path}/out/mlflow.db"
    assert site.optuna_uri() == f"sqlite:///{tmp_path}/out/studies.db"


def test_all_faults_of_a_file_are_listed_each_with_file_key_and_value(tmp_path: Path) -> None:
    name = written(
        tmp_path,
        f'storge = "out"\ncpus_per_run = "two"\ngpus_per_run = -1\nprecision = "fp8"\nretries = 1.5\n{GOOD}rot = "x"\n',
    )
    faults = faults_of(name)
    assert len(faults) == 6
    assert all(fault.startswith(f"site {name}: ") for fault in faults)
    text = "\n".join(faults)
    assert "storge: there is no such key; it must be one of storage, cache," in text
    assert "datasets.hmdb51.rot: there is no such key; it must be one of root, exclude_unreadable" in text
    for key, value in (("cpus_per_run", "'two'"), ("gpus_per_run", "-1"), ("precision", "'fp8'"), ("retries", "1.5")):
        (line,) = [fault for fault in faults if f": {key}: " in fault]
        assert line.endswith(f"got {value}")


def test_a_missing_table_of_data_sets_is_named(tmp_path: Path) -> None:
    (fault,) = faults_of(written(tmp_path, 'storage = "out"\n'))
    assert "datasets: Field required" in fault


@pytest.mark.parametrize("value", ["nan", "inf", "0", "true"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    (fault,) = faults_of(written(tmp_path, f"cpus_per_run = {value}\n{GOOD}"))
    assert "cpus_per_run" in fault


def test_a_data_set_whose_name_could_not_be_used_is_refused(tmp_path: Path) -> None:
    (fault,) = faults_of(written(tmp_path, '[datasets.HMDB51]\nroot = "videos"\n'))
    assert "HMDB51" in fault
    assert "pattern" in fault


@pytest.mark.parametrize("text", ["storage = out\n", "[datasets\n", "a = 1\na = 2\n"])
def test_what_is_not_toml_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    name = written(tmp_path, text)
    (fault,) = faults_of(name)
    assert fault.startswith(f"site {name}: not a TOML file: ")
    assert "line" in fault


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xff\xfe\x00")
    (fault,) = faults_of(str(path))
    assert "not a TOML file" in fault


@pytest.mark.parametrize("name", ["laptpo", "sites/none.toml", "none.toml"])
def test_a_missing_site_names_the_shipped_ones(name: str) -> None:
    (fault,) = faults_of(name)
    assert repr(name) in fault
    assert ", ".join(sorted(path.stem for path in SITES.glob("*.toml"))) in fault


def test_a_folder_is_no_site(tmp_path: Path) -> None:
    (fault,) = faults_of(f"{tmp_path}/")
    assert "no file" in fault


def test_an_unknown_data_set_names_the_known_ones(tmp_path: Path) -> None:
    site = load_site(written(tmp_path, GOOD + '[datasets.ucf101]\nroot = "u"\n'))
    with pytest.raises(BadRequest) as refusal:
        site.place("hmdb")
    assert "'hmdb' is not in the site file; it has: hmdb51, ucf101" in str(refusal.value)
