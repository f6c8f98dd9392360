"""The page as a file: the template with its style, scripts and the model filled in."""

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
from .content import model_in_words, page_content

SCRIPTS = ("decoder.js", "paint.js", "map.js", "page.js", "tools.js")  # each uses those before it


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
    """Write a page that develops pictures from a model's latent space, in the browser.

    The file holds the decoder's weights and all scripts: it needs no server and no network.

    Parameters
    ----------
    vae : VAE
        A fitted model. Rows that are no images are drawn as bars.
    path : path
        The file to write: it is the old one or the whole new one.
    X : array-like, optional
        Rows like those that the model was fitted on. At most 2,000 of them, drawn at random, become
        points of the map.
    labels : (n,) array, optional
        Labels of X. Up to 20 different ones colour the points as classes, more numbers as a scale.
    columns : sequence of str, optional
        Names of the features of rows that are no images.
    directions : mapping of str to array, optional
        Vectors of shape (latent_dim,), each of which gets a slider.
    title, source : str
        What to call the model, and the rows of X.

    Raises
    ------
    NotFittedError
        The model is not fitted.
    ValueError, TypeError
        The page cannot draw this likelihood, or X, labels or directions do not fit the model.
    OSError
        The file cannot be written.
    """
    content = page_content(vae, X, labels, columns=columns, directions=directions, source=source)
    style = _read("page.css")
    script = "".join(map(_read, SCRIPTS))
    fields = {
        "title": html.escape(title),
        "what": "picture" if content["kind"] == "image" else "row of a table, drawn as bars,",
        "about": html.escape(model_in_words(vae)),
        "map_text": html.escape(content["map"]["text"]),
        "weights": f"{content['decoder']['n_weights']:,}",
        "policy": _policy(style, script),
        "style": style,
        # "<" would let a label end the element
        "model": json.dumps(content, allow_nan=False).replace("<", "\\u003c"),
        "script": script,
    }
    page = re.sub(r"{{(\w+)}}", lambda field: fields[field[1]], _read("page.html"))
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What the browser may load: nothing, but for these two texts and the icon's data URL."""
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
