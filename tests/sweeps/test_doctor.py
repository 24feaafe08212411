"""What ``fsar doctor`` finds on a machine, and what it says of it. Nodes of a real Ray: tests/e2e/test_doctor.py."""

import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from typer.testing import CliRunner, Result

from fsar_core.data import video
from sweeps.engine import doctor as doctors
from sweeps.engine import doctor_machine, doctor_services
from sweeps.engine.doctor import Finding, carried_out, fail, healthy, ok, warn
from sweeps.engine.doctor_data import data_roots, decoding
from sweeps.engine.doctor_facts import Answer, Facts, compared, facts, told
from sweeps.engine.doctor_machine import gpus, limits, memory, packages
from sweeps.engine.doctor_nodes import nodes
from sweeps.engine.doctor_services import network, open_ports
from sweeps.engine.fsar import app
from sweeps.engine.schedules_facts import code
from sweeps.engine.site import Site
from tests.sweeps.made_doctor import giving, only, states
from tests.sweeps.made_folder import files
from tests.sweeps.made_plans import made_site

GIB = 1 << 30


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made_site(tmp_path)


def doctor(folder: Path, *flags: str, head: str = "") -> Result:
    path = folder / "site.toml"
    path.write_text(
        f'storage = "{folder}/out"\ncache = "{folder}/cache"\n{head}[datasets.motionshapes]\nroot = "{folder}/ms"\n'
    )
    return CliRunner().invoke(app, ["doctor", "--site", str(path), *flags])


class TestCommand:
    def test_every_check_is_made_and_nothing_is_left_behind(self, tmp_path: Path) -> None:
        result = doctor(tmp_path, "--json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert {"packages", "GPU", "storage", "cache", "locks", "data", "decoding", "MLflow", "studies", "nodes"} <= {
            finding["what"] for finding in found
        }
        assert {key for finding in found for key in finding} == {"what", "level", "told", "todo"}
        assert [finding for finding in found if finding["level"] != "ok" and not finding["todo"]] == []
        assert list(files(tmp_path)) == [str(tmp_path / "site.toml")]

    def test_a_fault_makes_exit_code_one_and_says_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "100")
        result = doctor(tmp_path, head="gpus_per_run = 1\n")
        assert result.exit_code == 1
        words = " ".join(result.output.split())
        assert "fail torch sees none" in words
        assert "1 fail" in words
        assert max(map(len, result.output.splitlines())) <= 100

    def test_a_bad_site_is_refused(self, tmp_path: Path) -> None:
        result = doctor(tmp_path, head="gpus = 1\n")
        assert result.exit_code == 2
        assert "there is no such key" in result.output

    def test_an_error_in_a_check_is_a_finding_and_hides_passwords(self, site: Site) -> None:
        def broken(_: Site) -> list[Finding]:
            raise ValueError("http://me:secret@host\nmore")

        assert carried_out("broken", broken, site) == [
            fail("broken", "ValueError: http://***@host", "this check itself failed; the message is all that is known")
        ]

    def test_warnings_keep_no_sweep_from_running(self) -> None:
        found = [ok("a", "x"), warn("b", "y", "z")]
        assert healthy(found)
        assert not healthy([*found, fail("c", "x", "y")])


class TestMachine:
    def test_packages_of_another_version_or_absent_are_named(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        assert only(packages, site).level == "ok"
        asked = ["numpy>=99", "no-such-package>=1", "torch>=2", "ruff>=99; extra == 'dev'"]
        monkeypatch.setattr(doctor_machine, "requires", giving(asked))
        found = only(packages, site)
        assert found.level == "fail"
        assert "numpy 2" in found.told
        assert "but >=99 is asked for; no-such-package is not installed" in found.told
        assert "torch" not in found.told
        assert "ruff" not in found.told

    @pytest.mark.parametrize(
        ("wants", "level"), [({}, "ok"), ({"gpus_per_run": 1.0, "ray": "auto"}, "ok"), ({"gpus_per_run": 1.0}, "fail")]
    )
    def test_no_gpu_is_a_fault_where_runs_here_want_one(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, wants: dict[str, Any], level: str
    ) -> None:
        monkeypatch.setattr(doctor_machine.torch.cuda, "is_available", lambda: False)
        assert states(gpus, site.model_copy(update=wants)) == [("GPU", level)]

    @pytest.mark.parametrize(
        ("major", "wants", "levels"), [(9, 1.0, ["ok"]), (7, 1.0, ["warn"]), (9, 0.0, ["ok", "warn"])]
    )
    def test_a_gpu_is_shown_with_its_memory_and_what_it_is_bad_at(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, major: int, wants: float, levels: list[str]
    ) -> None:
        card = SimpleNamespace(name="H200", total_memory=140 * GIB, major=major)
        for name, value in {"is_available": True, "device_count": 1}.items():
            monkeypatch.setattr(doctor_machine.torch.cuda, name, giving(value))
        monkeypatch.setattr(doctor_machine.torch.cuda, "get_device_properties", giving(card))
        found = list(gpus(site.model_copy(update={"gpus_per_run": wants, "precision": "bf16"})))
        assert [finding.level for finding in found] == levels
        assert "H200, 140.0 GiB" in found[0].told

    def test_little_memory_and_shared_memory_are_warned_of(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_machine, "_available", lambda: GIB // 2)
        monkeypatch.setattr(shutil, "disk_usage", giving(SimpleNamespace(free=64 << 20)))
        assert states(memory, site) == [("memory", "warn"), ("shared memory", "warn")]

    @pytest.mark.parametrize(
        ("soft", "ray_of", "level"),
        [(1024, "local", "warn"), (8192, "local", "ok"), (8192, "auto", "warn"), (-1, "auto", "ok")],
    )
    def test_few_open_files_are_warned_of(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, soft: int, ray_of: str, level: str
    ) -> None:
        monkeypatch.setattr(resource, "getrlimit", giving((soft, soft)))
        assert only(limits, site.model_copy(update={"ray": ray_of})).level == level


class TestData:
    def test_a_missing_root_is_a_fault_but_the_benchmark_is_made(self, site: Site, tmp_path: Path) -> None:
        (entry,) = site.datasets.values()
        more = site.model_copy(update={"datasets": {**site.datasets, "hmdb51": entry}, "weights": tmp_path / "none"})
        assert states(data_roots, more) == [("data", "ok"), ("data", "fail"), ("weights", "fail")]

    def test_a_damaged_import_is_a_fault(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "imports").mkdir()
        (tmp_path / "imports" / "ucf101.parquet").write_bytes(b"PAR1")
        found = list(data_roots(site.model_copy(update={"imports": tmp_path / "imports"})))
        assert [finding.level for finding in found] == ["ok", "fail"]
        assert "fsar data import ucf101" in found[1].todo

    def test_a_clip_is_really_decoded(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        assert only(decoding, site).level == "ok"
        monkeypatch.setattr(video, "has_decord", lambda: False)
        assert only(decoding, site).level == "warn"


class TestServices:
    TABLE = (
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:1388 00000000:0000 0A\n   1: 00000000:2049 00000000:0000 0A\n"
        "   2: 00000000:18EB 00000000:0000 01\n   3: 010200C0:1538 00000000:0000 0A\n"
    )
    TABLE_6 = (
        "  sl  local_address\n   0: 0000000000000000FFFF00000100007F:1388 00000000000000000000000000000000:0000 0A\n"
        "   1: 00000000000000000000000001000000:2711 00000000000000000000000000000000:0000 0A\n"
        "   2: B80D0120000000000000000001000000:1538 00000000000000000000000000000000:0000 0A\n"
        "   3: 0000000000000000FFFF000000000000:2049 00000000000000000000000000000000:0000 0A\n"
    )

    @pytest.fixture
    def tables(self, tmp_path: Path) -> tuple[Path, ...]:
        """As Linux writes them, the third of which is not there."""
        found = tmp_path / "tcp", tmp_path / "tcp6", tmp_path / "none"
        for table, text in zip(found, (self.TABLE, self.TABLE_6), strict=False):
            table.write_text(text)
        return found

    def test_open_ports_are_read_with_the_addresses_at_which_others_reach_them(self, tables: tuple[Path, ...]) -> None:
        found = {port: [str(own) for own in addresses] for port, addresses in open_ports(tables).items()}
        assert found == {5000: [], 8265: ["0.0.0.0"], 5432: ["192.0.2.1", "2001:db8::1"], 10001: []}

    def test_a_server_that_hears_other_machines_is_warned_of_with_its_addresses(
        self, site: Site, tables: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doctor_services, "open_ports", giving(open_ports(tables)))
        found = [finding for finding in network(site) if finding.what == "ports"]
        assert [(finding.level, finding.told) for finding in found] == [
            ("warn", "5432, by default PostgreSQL, is open to other machines on 192.0.2.1, 2001:db8::1"),
            ("warn", "8265, by default Ray's dashboard, is open to other machines on 0.0.0.0 (every interface)"),
        ]

    def test_servers_of_this_machine_alone_are_listed(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_services, "open_ports", giving({5000: [], 22: [], 6379: []}))
        assert [finding.told for finding in network(site) if finding.what == "ports"] == [
            "in use, from this machine alone: 5000, 6379"
        ]

    def test_a_machine_without_an_address_is_a_fault(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(_: str) -> str:
            raise OSError(-2, "Name or service not known")

        monkeypatch.setattr(doctor_services.socket, "gethostbyname", unknown)
        assert ("host name", "fail") in states(network, site)


FACTS = Facts(python="3.11.7", versions={"torch": "2.15.0", "ray": "2.60.0"}, wrong=(), code="abc", gpus=(24.0,))
ANSWER = Answer(facts=FACTS, reads=True, seen=True, cache=True, roots=(), skew=0.4)


class TestNodes:
    def test_a_site_with_its_own_ray_has_none(self, site: Site) -> None:
        assert states(nodes, site) == [("nodes", "ok")]

    def test_no_cluster_is_a_fault(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        def nowhere(**_: object) -> None:
            raise ConnectionError("no address")

        monkeypatch.setattr(ray, "init", nowhere)
        assert "no Ray cluster is running" in only(nodes, site.model_copy(update={"ray": "auto"})).told

    def test_a_node_like_this_machine_has_no_fault(self, site: Site) -> None:
        assert list(compared("node-2", FACTS, ANSWER, site)) == []
        assert told(ANSWER) == "Python 3.11.7, torch 2.15.0, code abc, GPUs: 24 GiB; shares storage"

    @pytest.mark.parametrize(
        ("change", "level", "words"),
        [
            ({"facts": replace(FACTS, python="3.12.1")}, "fail", "Python 3.12.1, here 3.11.7"),
            (
                {"facts": replace(FACTS, versions={"torch": "2.14.0", "ray": "2.60.0"})},
                "fail",
                "torch 2.14.0, here 2.15.0",
            ),
            ({"facts": replace(FACTS, code="def")}, "fail", "another code of the project: def, here abc"),
            ({"facts": replace(FACTS, wrong=("av is not installed",))}, "fail", "av is not installed"),
            ({"reads": False, "seen": False}, "fail", "does not read what was written here"),
            ({"seen": False}, "fail", "writes what is not seen here"),
            ({"cache": False}, "fail", "cache cannot be written"),
            ({"roots": ("hmdb51",)}, "fail", "data that it cannot read: hmdb51"),
            ({"skew": -5.0}, "warn", "its clock is 5 s behind"),
            ({"skew": 90.0}, "fail", "its clock is 90 s ahead"),
        ],
    )
    def test_every_difference_is_named(self, site: Site, change: dict[str, Any], level: str, words: str) -> None:
        (found,) = compared("node-2", FACTS, replace(ANSWER, **change), site)
        assert (found.what, found.level) == ("node-2", level)
        assert words in found.told
        assert found.todo

    def test_the_code_is_named_as_reruns_name_it(self) -> None:
        assert facts().code == code().source


def test_all_checks_are_counted_for_the_bar(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctors, "carried_out", giving([ok("a", "x")]))
    told_of: list[tuple[int, int]] = []
    found = doctors.examined(site, lambda done, total: told_of.append((done, total)))
    assert told_of == [(i, len(found)) for i in range(len(found) + 1)]
