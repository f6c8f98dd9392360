"""Write the page: the template filled with the style, the scripts and the model."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources

from numpy.typing import ArrayLike

from .._system.files import atomic_write
from ..vae import VAE
from .content import describe_model, page_content

# The order matters: each script uses the scripts before it.
SCRIPTS = ("decoder.js", "paint.js", "map.js", "page.js", "tools.js")


def write_page(
    vae: VAE,
    path: str | os.PathLike[str],
    X: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    *,
    columns: Sequence[str] | None = None,
    directions: Mapping[str, ArrayLike] | None = None,
    title: str = "vaefast",
    source: str = "rows",
) -> None:
    """Write a web page that explores a model's latent space.

    The page decodes codes in the browser. The file holds the decoder's weights and all scripts, and
    needs no server and no network.

    Parameters
    ----------
    vae : VAE
        Fitted model. Rows that are not images are drawn as bars.
    path : str or os.PathLike
        File to write. A failed write leaves an existing file unchanged.
    X : array-like of shape (n, d), or n images, or None, default=None
        Rows with the features of the fit. Their codes are the points of the map. If there are more
        than 2,000 rows, 2,000 of them are drawn at random.
    labels : array-like of shape (n,) or None, default=None
        Labels of X. Up to 20 distinct labels colour the points as classes. More distinct numbers
        colour them on a scale; of more distinct texts, the rarest become "other".
    columns : sequence of str or None, default=None
        Names of the features, for rows that are not images. None takes the names that the model
        was fitted with, if any.
    directions : mapping of str to array-like of shape (latent_dim,), or None, default=None
        Directions by name. Each gets a slider.
    title : str, default="vaefast"
        Name of the model on the page.
    source : str, default="rows"
        Name of the rows of X on the page.

    Raises
    ------
    NotFittedError
        The model is not fitted.
    ValueError, TypeError
        The model is conditional, the page cannot draw its likelihood, or X, labels, columns or
        directions do not fit the model.
    OSError
        The file cannot be written.
    """
    content = page_content(vae, X, labels, columns=columns, directions=directions, source=source)
    style = _read("page.css")
    script = "".join(map(_read, SCRIPTS))
    fields = {
        "title": html.escape(title),
        "row": "picture" if content["kind"] == "image" else "row of a table, drawn as bars",
        "about": html.escape(describe_model(vae)),
        "map_text": html.escape(content["map"]["text"]),
        "weights": f"{content['decoder']['n_weights']:,}",
        "policy": _policy(style, script),
        "style": style,
        # A "<" in a label could end the script element.
        "model": json.dumps(content, allow_nan=False).replace("<", "\\u003c"),
        "script": script,
    }
    page = re.sub(r"{{(\w+)}}", lambda field: fields[field[1]], _read("page.html"))
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return a policy that allows this style, this script and data URLs (the icon), no more."""
    allowed = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {source}" for name, source in allowed.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
