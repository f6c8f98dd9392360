"""Well-known data sets, read from this machine or downloaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .dataset import Dataset
from .idx import FILES, find_idx_files, load_idx_files


@dataclass(frozen=True)
class _Source:
    """URL of the four gzipped IDX files of a data set, and the MD5 checksum of each by role."""

    url: str
    md5: dict[str, str]


_SOURCES = {
    "mnist": _Source(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "X": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "y": "d53e105ee54ea40749a09fcbcd1e9432",
            "X_test": "9fb629c4189551a2d022fa330f9573f3",
            "y_test": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion-mnist": _Source(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "X": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "y": "25c81989df183df01b3e8a0aad5dffbe",
            "X_test": "bef4ecab320f06d8554ea6380940ec79",
            "y_test": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
}


def mnist() -> Dataset:
    """Load MNIST, images of handwritten digits.

    The four IDX files may be gzipped or not. They are searched for in `$VAEFAST_DATA/mnist`, if
    that environment variable is set, and then in the folder `mnist` of the user's cache for
    vaefast. If they are in neither, they are downloaded into the cache and their checksums are
    verified.

    Returns
    -------
    Dataset
        `X` uint8 (60000, 28, 28), `y` int64 (60000,) from 0 to 9, `X_test` uint8 (10000, 28, 28)
        and `y_test` int64 (10000,).

    Raises
    ------
    OSError
        The files were not found and could not be downloaded. The message says where to put them.
    ValueError
        A file is truncated or corrupt.
    """
    return _load("mnist")


def fashion_mnist() -> Dataset:
    """Load Fashion-MNIST, images of clothes.

    The labels 0 to 9 stand for T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag
    and ankle boot. The four IDX files may be gzipped or not. They are searched for in
    `$VAEFAST_DATA/fashion-mnist`, if that environment variable is set, and then in the folder
    `fashion-mnist` of the user's cache for vaefast. If they are in neither, they are downloaded
    into the cache and their checksums are verified.

    Returns
    -------
    Dataset
        `X` uint8 (60000, 28, 28), `y` int64 (60000,) from 0 to 9, `X_test` uint8 (10000, 28, 28)
        and `y_test` int64 (10000,).

    Raises
    ------
    OSError
        The files were not found and could not be downloaded. The message says where to put them.
    ValueError
        A file is truncated or corrupt.
    """
    return _load("fashion-mnist")


def _load(name: str) -> Dataset:
    """Return a data set from the first folder that has all four files, else download them."""
    import pooch

    cache = Path(pooch.os_cache("vaefast")) / name
    data = os.environ.get("VAEFAST_DATA")
    folders = [Path(data).expanduser() / name, cache] if data else [cache]
    for folder in folders:
        files = find_idx_files(folder)
        if len(files) == len(FILES):
            return load_idx_files(files, name)
    return load_idx_files(_download(name, cache, folders), name)


def _download(name: str, cache: Path, folders: list[Path]) -> dict[str, Path]:
    """Return the four files in the cache. Files with the right checksum are kept."""
    import pooch

    source = _SOURCES[name]
    files = {}
    for role, file in FILES.items():
        url = f"{source.url}{file}.gz"
        try:
            path = pooch.retrieve(
                url,
                known_hash=f"md5:{source.md5[role]}",
                fname=f"{file}.gz",
                path=cache,
                progressbar=True,
            )
        except (OSError, ValueError) as error:  # ValueError: the checksum differs
            choice = (
                ""
                if len(folders) > 1
                else (
                    f", or into the folder {name} of any folder that the environment variable "
                    "VAEFAST_DATA names"
                )
            )
            raise OSError(
                f"{name} is not on this machine and could not be downloaded. Put the files "
                f"{', '.join(FILES.values())}, gzipped (.gz) or not, into "
                f"{' or '.join(map(str, folders))}{choice}. The download of {url} failed: {error}"
            ) from error
        files[role] = Path(path)
    return files
