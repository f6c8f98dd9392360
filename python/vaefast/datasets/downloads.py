"""Well-known data sets, which are read from this machine or downloaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .dataset import Dataset
from .idx import FILES, find_idx_files, load_idx_files


@dataclass(frozen=True)
class _File:
    """Size in bytes and SHA-256 of a gzipped file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class _Source:
    """URL of the four gzipped IDX files of a data set, and each file by role."""

    url: str
    files: dict[str, _File]


_SOURCES = {
    "mnist": _Source(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "X": _File(9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            "y": _File(28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            "X_test": _File(
                1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            "y_test": _File(
                4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        },
    ),
    "fashion-mnist": _Source(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        {
            "X": _File(
                26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "y": _File(29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            "X_test": _File(
                4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "y_test": _File(
                5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
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
    """Return a data set from the first folder that has all four files, or download them.

    In the cache a gzipped file counts only if it has the right size. Its SHA-256 is verified when
    it is downloaded, and gzip's own checksum at every load.
    """
    import pooch

    cache = Path(pooch.os_cache("vaefast")) / name
    data = os.environ.get("VAEFAST_DATA")
    folders = [Path(data).expanduser() / name, cache] if data else [cache]
    for folder in folders:
        files = find_idx_files(folder)
        if len(files) == len(FILES) and (folder != cache or _have_sizes(files, name)):
            return load_idx_files(files, name)
    return load_idx_files(_download(name, cache, folders), name)


def _have_sizes(files: dict[str, Path], name: str) -> bool:
    """Return whether the gzipped files have the sizes of the downloads."""
    known = _SOURCES[name].files
    return all(
        path.suffix != ".gz" or path.stat().st_size == known[role].size
        for role, path in files.items()
    )


def _download(name: str, cache: Path, folders: list[Path]) -> dict[str, Path]:
    """Return the four files in the cache. Existing files with the right checksum are kept."""
    import pooch

    source = _SOURCES[name]
    files = {}
    for role, file in FILES.items():
        url = f"{source.url}{file}.gz"
        try:
            path = pooch.retrieve(
                url,
                known_hash=f"sha256:{source.files[role].sha256}",
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
