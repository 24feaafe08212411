"""Each launcher file is one that Ray takes, says what it says truly, and gives nothing away."""

import re
import shlex
import tomllib

import click
import pytest
from ray.scripts import scripts

from sweeps.engine.site import SITES
from tests.cluster.launcher_files import FILES, NAMES, REPOSITORY, comment, prepared, read

_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_FOR_EXAMPLES = ("127.0.0.1", "192.0.2.")
_SECRET = re.compile(r"AKIA|BEGIN [A-Z ]*PRIVATE KEY|password|secret|_token:|\bami-[0-9a-f]{8}|\bfs-[0-9a-f]{8}", re.I)


def commands(name: str) -> list[list[str]]:
    """The `ray` commands of the comment, without what is said of them."""
    found = re.findall(r"^#   (ray .*?)(?:   +\S.*)?$", comment(name), re.MULTILINE)
    return [shlex.split(command.replace(">/dev/null", "")) for command in found]


def test_the_launcher_files_are_found() -> None:
    assert NAMES == ["aws", "gcp", "loopback", "onprem"]


@pytest.mark.parametrize("name", NAMES)
class TestEveryLauncherFile:
    def test_is_valid_for_rays_launcher(self, name: str) -> None:
        config = prepared(name)
        assert config["head_setup_commands"][: len(config["setup_commands"])] == config["setup_commands"]
        assert config["max_workers"] >= sum(kind["min_workers"] for kind in config["available_node_types"].values())

    def test_asks_for_at_most_five_edits_and_counts_them(self, name: str) -> None:
        text = (REPOSITORY / "cluster" / f"{name}.yaml").read_text()
        edits = [line for line in text.splitlines() if "# EDIT" in line]
        assert 1 <= len(edits) <= 5
        (said,) = re.findall(r"the lines marked EDIT \((\d)\)", comment(name))
        assert int(said) == len(edits)

    def test_tells_the_cost_and_how_to_come_and_go(self, name: str) -> None:
        assert "# Cost:" in comment(name)
        verbs = [command[1] for command in commands(name)]
        assert verbs == ["get-auth-token", "up", "submit", "submit", "attach", "up", "down"]

    def test_names_commands_options_and_files_that_exist(self, name: str) -> None:
        for _, verb, *words in commands(name):
            ours = words[: words.index("--")] if "--" in words else words
            command: click.Command = scripts.cli.commands[verb]
            options = {
                option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
            }
            assert {word for word in ours if word.startswith("-")} <= options
            files = [word for word in words if word.endswith((".yaml", ".py"))]
            assert all((REPOSITORY / file).is_file() for file in files)
            assert not files or files[0] == f"cluster/{name}.yaml"

    def test_holds_no_secret_and_no_address_but_for_examples(self, name: str) -> None:
        text = (REPOSITORY / "cluster" / f"{name}.yaml").read_text()
        assert [address for address in _ADDRESS.findall(text) if not address.startswith(_FOR_EXAMPLES)] == []
        assert [word for word in _SECRET.findall(text) if word.lower() != "_token:"] == []

    def test_takes_the_project_to_every_node(self, name: str) -> None:
        mounts = {to: source for to, source in read(name)["file_mounts"].items() if to.startswith("~/fsar/")}
        assert all(to == f"~/fsar/{source}" for to, source in mounts.items())
        assert all((REPOSITORY / source).exists() for source in mounts.values())
        folders = {path.relative_to(REPOSITORY).parts[0] for path in REPOSITORY.glob("[!.]*/**/*.py")}
        sources = {folder for folder in folders if folder not in ("output", "build")}
        assert sources | {"cluster", "pyproject.toml", "constraints.txt", "README.md", ".git"} == set(mounts.values())

    def test_shares_what_it_mounts_with_the_other_files(self, name: str) -> None:
        first = read(NAMES[0])
        assert {key: read(name)[key] for key in ("file_mounts", "rsync_exclude")} == {
            key: first[key] for key in ("file_mounts", "rsync_exclude")
        }

    def test_runs_scripts_that_exist_with_extras_that_exist(self, name: str) -> None:
        config = prepared(name)
        lines = [*config["head_setup_commands"], *config["worker_setup_commands"]]
        scripts_run = [words[words.index("bash") + 1] for words in map(shlex.split, lines)]
        assert all((REPOSITORY / script.removeprefix("~/fsar/")).is_file() for script in scripts_run)
        extras = {extra for line in lines if "setup.sh" in line for extra in shlex.split(line)[3:]}
        assert (
            extras
            <= tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()
        )

    def test_names_one_site_for_its_nodes_and_for_mlflow(self, name: str) -> None:
        (setup,) = [line for line in read(name)["setup_commands"] if "setup.sh" in line]
        (mlflow,) = [line for line in read(name)["head_setup_commands"] if "mlflow.sh" in line]
        site = shlex.split(setup)[0].removeprefix("FSAR_SITE=")
        assert (SITES / f"{site}.toml").is_file()
        assert shlex.split(mlflow)[-1] == site

    def test_listens_on_loopback_only_asks_for_the_token_and_leaves_version_two_of_the_autoscaler(
        self, name: str
    ) -> None:
        config = read(name)
        (start,) = [line for line in config["head_start_ray_commands"] if "ray start" in line]
        assert "--dashboard-host=127.0.0.1" in start
        assert "RAY_enable_autoscaler_v2=0" in start
        assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
        assert "RAY_AUTH_MODE=token" in (REPOSITORY / "cluster" / "nodes" / "setup.sh").read_text()
        assert any("nodes/setup.sh" in line for line in config["setup_commands"])


def test_a_wrong_key_is_not_valid_for_rays_launcher() -> None:
    import jsonschema
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(jsonschema.ValidationError, match="worker_ports"):
        validate_config(prepare_config({**read("loopback"), "worker_ports": []}))


def test_every_launcher_file_lies_where_the_tests_look() -> None:
    assert all(file.parent == REPOSITORY / "cluster" for file in FILES)
