"""Writing files whole or not at all, and the folders that a run is written to."""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there becomes `path` at the end.

    After an error `path` is what it was before, and the temporary file is gone.

    Parameters
    ----------
    path : path
        The file to write. Its folder must exist.

    Yields
    ------
    pathlib.Path
        Where to write: in the same folder and with the same suffix as `path`.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(path))
    temporary = path.with_name(f".vaefast-{secrets.token_hex(6)}{path.suffix}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # some libraries write files that only their owner can read
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb+") as file:  # on the disk before the old file goes
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # not the temporary's name
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def output_folder(
    folder: str | os.PathLike[str], names: Iterable[str], force: bool = False
) -> Iterator[Path]:
    """Make sure that files with these names can be written into `folder`, made where it is missing.

    Parameters
    ----------
    folder : path
        The folder. After an error a folder made here is removed again, unless it holds a file.
    names : iterable of str
        The files that will be written.
    force : bool
        Accept a folder that has some of these files already.

    Raises
    ------
    FileExistsError
        Some of the files are there already.
    OSError
        `folder` cannot be made, is no folder, or cannot be written to.
    """
    folder = Path(folder)
    present = [name for name in names if (folder / name).exists()]
    if present and not force:
        raise FileExistsError(
            f"{folder} holds an earlier run ({', '.join(present)}). "
            "Choose another folder, or replace the run with --force."
        )
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with _removed_after_error(missing):
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is a file, not a folder", str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # can it be written to?
            pass
        yield folder


@contextmanager
def numbered_folder(parent: str | os.PathLike[str], name: str) -> Iterator[Path]:
    """Make the folder `parent/name-1`, or with the first number that is free.

    Two processes never get the same one. After an error the folder is removed again, unless it
    holds a file.
    """
    parent = Path(parent)
    missing = [path for path in (parent, *parent.parents) if not path.exists()]
    for number in itertools.count(1):
        folder = parent / f"{name}-{number}"
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    with _removed_after_error([folder, *missing]):
        yield folder


@contextmanager
def _removed_after_error(folders: list[Path]) -> Iterator[None]:
    """Remove those of these folders, innermost first, that are empty when an error passes."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty, or never made
            for folder in folders:
                folder.rmdir()
        raise
