"""Files that are written as a whole or not at all, and the folders of a run."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import platform
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path, and rename the file written there to `path` at the end.

    After an error the temporary file is removed, and `path` is unchanged. A symbolic link is kept
    and its target replaced. Temporary files that a killed process left behind are removed.

    Parameters
    ----------
    path : path
        The file to write, in an existing folder. ~ stands for the home folder.

    Yields
    ------
    pathlib.Path
        Temporary file to write to, in the same folder and with the same suffix as `path`.

    Raises
    ------
    OSError
        The file can't be written, or `file_at` refuses the path.
    """
    path = file_at(path)
    _remove_stale(path.parent)
    temporary = path.with_name(
        f"{temporary_prefix()}{os.getpid()}-{secrets.token_hex(6)}{path.suffix}"
    )
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # some libraries restrict a file to the owner
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb+") as file:  # the data reaches the disk before the rename
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # hides the temporary name
    finally:
        temporary.unlink(missing_ok=True)


def file_at(path: str | os.PathLike[str]) -> Path:
    """Return where a file is or will be, with ~ and symbolic links resolved.

    Raises
    ------
    OSError
        The folder does not exist, or `path` is a folder, a device or a pipe.
    """
    path = Path(path).expanduser()
    if path.is_symlink():
        path = path.resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is a device or a pipe, not a file", str(path))
    return path


STALE_SECONDS = 60  # longer than any write; containers may share a name and a folder


def temporary_prefix() -> str:
    """Return the prefix of this host's temporary files, because hosts may share a folder."""
    host = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
    return f".vaefast-{host}-"


def _remove_stale(folder: Path) -> None:
    """Remove temporary files in a folder whose process, on this host, no longer runs."""
    if os.name != "posix":  # elsewhere, os.kill would end the process
        return
    for path in folder.glob(f"{temporary_prefix()}*"):
        process = path.name.removeprefix(temporary_prefix()).partition("-")[0]
        if process.isdigit():
            try:
                os.kill(int(process), 0)
            except ProcessLookupError:
                with suppress(OSError):  # another process may remove it at the same moment
                    if time.time() - path.stat().st_mtime > STALE_SECONDS:
                        path.unlink()
            except (OSError, OverflowError):  # the process of another user, or no process number
                continue


@contextmanager
def output_folder(
    folder: str | os.PathLike[str], names: Iterable[str], force: bool = False
) -> Iterator[Path]:
    """Yield a folder, after checking that files with the given names can be written to it.

    A missing folder is created. After an error it is removed again, unless it holds a file.

    Parameters
    ----------
    folder : path
        The folder.
    names : iterable of str
        Names of the files that will be written.
    force : bool, default=False
        Whether some of these files may exist already.

    Yields
    ------
    pathlib.Path
        The folder.

    Raises
    ------
    FileExistsError
        Some of the files exist already.
    BlockingIOError
        Another process is writing to the folder.
    OSError
        `folder` cannot be created, is not a folder, or cannot be written to.
    """
    folder, names = Path(folder).expanduser(), list(names)
    present = [name for name in names if (folder / name).exists()]
    if present and not force:
        raise FileExistsError(_holds_a_run(folder, present))
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with _removed_after_error(missing):
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is a file, not a folder", str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # raises unless the folder can be written to
            pass
        with _only_one(folder):
            present = [name for name in names if (folder / name).exists()]
            if present and not force:  # written by a run that has just ended
                raise FileExistsError(_holds_a_run(folder, present))
            yield folder


def _holds_a_run(folder: Path, present: list[str]) -> str:
    return (
        f"{folder} holds an earlier run ({', '.join(present)}). "
        "Choose another folder, or replace the run with --force."
    )


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to the folder; raise BlockingIOError if one does already.

    The lock belongs to the open folder and ends with the process, however the process ends. Windows
    and some file systems have no such locks.
    """
    if os.name != "posix":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                f"another run is writing to {folder}. Choose another folder, or wait for its end."
            ) from None
        except OSError:  # some network file systems
            pass
        yield
    finally:
        os.close(descriptor)


@contextmanager
def numbered_folder(parent: str | os.PathLike[str], name: str) -> Iterator[Path]:
    """Create and yield the folder `parent/name-1`, or that with the next free number.

    Two processes never get the same folder. After an error the folder is removed again, unless it
    holds a file.

    Parameters
    ----------
    parent : path
        Folder in which to create the new one. It is created if it is missing.
    name : str
        Name without the number.

    Yields
    ------
    pathlib.Path
        The new folder.

    Raises
    ------
    OSError
        The folder cannot be created.
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
    """Remove empty folders after an error. `folders` lists the innermost first."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty, or never created
            for folder in folders:
                folder.rmdir()
        raise
