"""What the launcher runs on a node does its work once, and after a failure again."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.launcher_files import REPOSITORY

_PYTHON = """#!/bin/bash
echo "$*" >>"$LOG"
[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
exit ${FAIL:-0}
"""


@dataclass(frozen=True)
class Node:
    """A home with a copy of what the scripts read, and programs that only write down how they are called."""

    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "fsar"

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {
            "HOME": str(self.folder),
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "LOG": str(self.folder / "log"),
        }
        return subprocess.run(
            ["bash", str(self.project / "cluster" / "nodes" / script), *arguments],
            env={**own, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    def program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    (tmp_path / "bin").mkdir()
    made = Node(tmp_path)
    shutil.copytree(REPOSITORY / "cluster" / "nodes", made.project / "cluster" / "nodes")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, made.project / name)
    made.program("python3.12", _PYTHON)
    return made


def installs(node: Node) -> list[str]:
    return [call for call in node.calls() if " pip install " in f" {call} "]


def test_the_first_time_makes_an_environment_and_installs_at_the_pinned_versions(node: Node) -> None:
    done = node.run("setup.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert node.calls() == [
        f"-m venv {node.folder}/fsar-venv",
        f"-m pip install --quiet --constraint {node.project}/constraints.txt --editable {node.project}",
    ]


def test_the_second_time_does_nothing(node: Node) -> None:
    assert node.run("setup.sh").returncode == 0
    calls, rc = node.calls(), (node.folder / ".bashrc").read_text()
    again = node.run("setup.sh")
    assert (again.returncode, again.stdout) == (0, f"environment {node.folder}/fsar-venv is up to date\n")
    assert node.calls() == calls
    assert (node.folder / ".bashrc").read_text() == rc == ". ~/.fsar_env\n"


def test_the_shells_of_a_node_have_its_site(node: Node) -> None:
    told = "bash", "-c", f'. <(grep ^export {node.folder}/.fsar_env); echo "${{FSAR_SITE-none}} $RAY_AUTH_MODE"'
    for site, expected in (("~/my own.toml", "~/my own.toml token"), (None, "none token")):
        assert node.run("setup.sh", **({"FSAR_SITE": site} if site else {})).returncode == 0
        assert subprocess.run(told, capture_output=True, text=True, check=True).stdout == f"{expected}\n"


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_other_pins_are_installed(node: Node, changed: str) -> None:
    node.run("setup.sh")
    with (node.project / changed).open("a") as file:
        file.write("# newer\n")
    assert node.run("setup.sh").returncode == 0
    assert len(installs(node)) == 2


def test_an_edit_of_the_sources_installs_nothing(node: Node) -> None:
    node.run("setup.sh")
    (node.project / "sweeps").mkdir()
    (node.project / "sweeps" / "new.py").write_text("")
    node.run("setup.sh")
    assert len(installs(node)) == 1


def test_extras_are_installed_and_other_extras_again(node: Node) -> None:
    node.run("setup.sh", "aws", "masks")
    node.run("setup.sh", "aws", "masks")
    assert [call.rpartition(" ")[2] for call in installs(node)] == [f"{node.project}[aws,masks]"]
    node.run("setup.sh", "aws")
    assert len(installs(node)) == 2


def test_a_failed_installation_is_told_and_done_again(node: Node) -> None:
    node.run("setup.sh")
    (node.project / "constraints.txt").write_text("torch==0\n")
    assert node.run("setup.sh", FAIL="1").returncode == 1
    assert not (node.folder / "fsar-venv.installed").exists()
    assert node.run("setup.sh").returncode == 0
    assert len(installs(node)) == 3


def test_a_node_without_a_python_for_it_is_refused_in_words(node: Node) -> None:
    (node.folder / "bin" / "python3.12").unlink()
    (node.folder / "only").mkdir()
    for name in ("bash", "cat", "sha256sum", "cut", "dirname", "rm", "env"):
        (node.folder / "only" / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    done = node.run("setup.sh", PATH=str(node.folder / "only"))
    assert done.returncode == 1
    assert "needs Python 3.11 or 3.12" in done.stderr


def test_shells_of_the_launcher_get_the_environment_and_the_token(node: Node) -> None:
    node.run("setup.sh")
    (node.folder / "fsar-venv" / "bin" / "activate").write_text(f"PATH={node.folder}/fsar-venv/bin:$PATH\n")
    shell = ["bash", "--login", "-c", "source ~/.bashrc; command -v python; echo $RAY_AUTH_MODE"]
    home = {"HOME": str(node.folder), "PATH": "/usr/bin:/bin"}
    told = subprocess.run(shell, env=home, capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [f"{node.folder}/fsar-venv/bin/python", "token"]


def test_storage_is_mounted_once(node: Node) -> None:
    node.program("mountpoint", '#!/bin/bash\n[ -e "$HOME/mounted" ]\n')
    node.program("mount.nfs", "#!/bin/bash\n")
    node.program("sudo", '#!/bin/bash\necho "$*" >>"$LOG"\n[ "$1" != mount ] || touch "$HOME/mounted"\n')
    for _ in range(2):
        assert node.run("mount.sh", "server:/fsar").returncode == 0
    mounts = [call for call in node.calls() if call.startswith("mount ")]
    assert mounts == ["mount -t nfs -o vers=4.1,hard,timeo=600,retrans=2 server:/fsar /shared"]
    assert f"chown {os.getuid()}:{os.getgid()} /shared/fsar" in node.calls()


def test_storage_that_cannot_be_mounted_stops_the_set_up(node: Node) -> None:
    node.program("mountpoint", "#!/bin/bash\nexit 1\n")
    node.program("mount.nfs", "#!/bin/bash\n")
    node.program("sudo", '#!/bin/bash\n[ "$1" != mount ]\n')
    assert node.run("mount.sh", "server:/fsar").returncode != 0


def test_a_tracking_server_that_does_not_start_stops_the_set_up_with_its_words(node: Node) -> None:
    (node.folder / "fsar-venv" / "bin").mkdir(parents=True)
    for name, text in (("python", "exit 1"), ("fsar", 'echo "refused $*"; exit 2')):
        node.program(f"../fsar-venv/bin/{name}", f"#!/bin/bash\n{text}\n")
    done = node.run("mlflow.sh", "loopback")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "refused tracking serve --site loopback --port 5000 --workers 1"


def test_a_tracking_server_that_answers_is_left_alone(node: Node) -> None:
    (node.folder / "fsar-venv" / "bin").mkdir(parents=True)
    node.program("../fsar-venv/bin/python", "#!/bin/bash\nexit 0\n")
    assert node.run("mlflow.sh", "loopback").returncode == 0
