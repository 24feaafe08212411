"""What the end-to-end tests share: the built-in benchmark, made once."""

from pathlib import Path

import pytest

from fsar_core.data import motionshapes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MotionShapes, as a first start makes it."""
    root = tmp_path_factory.mktemp("data") / "motionshapes"
    motionshapes.make(root, workers=2)
    return root
