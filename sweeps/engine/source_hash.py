"""Which code this is, told apart also where no commit names it."""

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from sweeps.engine.shipped_code import package_folders


def source_hash(folders: Iterable[Path] | None = None) -> str:
    """16 hexadecimal digits; of names and contents of Python files and tables in the packages that lie in ``folders``,
    by default those of the project. Equal wherever these lie."""
    digest = blake2b(digest_size=8)
    for folder in package_folders() if folders is None else folders:
        files = (path for ending in ("py", "csv") for path in folder.rglob(f"*.{ending}"))
        for path in sorted(files):
            content = path.read_bytes()
            digest.update(f"{folder.name}/{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()
