"""Exports of a fitted model to ONNX, to PyTorch and to plain NumPy.

An export consists of an encoder, which maps x to mu and logvar, and a decoder, which maps z to
E[x|z]. Both are deterministic. Draw z yourself, as ``mu + exp(logvar / 2) * noise``, or as standard
normal numbers for new rows.

The exports take and return float32 matrices:

x : (n, features)
    Rows in the units of the fit. Images are flattened: ``X.reshape(n, -1)``. The core divides
    images of bytes by 255, so pass ``X / 255`` for them. Pass bytes of counts, of categories and of
    columns of several kinds as they are. `byte_divisor` in the description is the divisor.
y : (n, width)
    Conditions, only for a conditional model: numbers as in the fit, or labels as one-hot rows in
    the order of `condition_labels` in the description. The exports to ONNX and PyTorch standardize
    the numbers themselves.
z : (n, latent_dim)
    Codes.
mu, logvar : (n, latent_dim)
    Posterior q(z|x), as `VAE.encode` returns it.
mean : (n, features)
    E[x|z], as `VAE.inverse_transform` returns it. Rates of counts are those of one unit of
    exposure.

`describe` returns a description of the model, which the ONNX files and the .npz file contain. No
export checks its input.

Examples
--------
NumPy alone runs a model that `to_npz` wrote, here with the activation relu and the likelihood
bernoulli:

>>> import numpy as np
>>> def dense(w, name, h):
...     return h @ w[f"{name}.weight"] + w[f"{name}.bias"]
>>> def hidden(w, part, h):
...     for i in range(sum(name.startswith(f"{part}.") for name in w) // 2):
...         h = np.maximum(dense(w, f"{part}.{i}", h), 0)
...     return h
>>> def encode(w, x):
...     h = hidden(w, "encoder", x)
...     raw = dense(w, "logvar", h)
...     inner = np.clip(raw, -10, 10)
...     return dense(w, "mu", h), inner + 10 * np.tanh((raw - inner) / 10)
>>> def decode(w, z):
...     return 1 / (1 + np.exp(-dense(w, "output", hidden(w, "decoder", z))))

The functions agree with the model:

>>> import tempfile
>>> from pathlib import Path
>>> from vaefast import VAE, datasets, export
>>> X = datasets.strokes(300).X
>>> vae = VAE(2, (32,), epochs=1, random_state=0, verbose=False).fit(X)
>>> with tempfile.TemporaryDirectory() as folder:
...     export.to_npz(vae, Path(folder) / "model.npz")
...     with np.load(Path(folder) / "model.npz") as file:
...         w = dict(file)
>>> mu, logvar = encode(w, X.reshape(len(X), -1) / np.float32(255))
>>> np.allclose(mu, vae.transform(X), atol=1e-5)
True
>>> images = vae.inverse_transform(mu)
>>> np.allclose(decode(w, mu).reshape(images.shape), images, atol=1e-5)
True
"""

from __future__ import annotations

from .networks import describe
from .numpy_file import to_npz
from .onnx_files import to_onnx
from .torch_modules import to_torch

__all__ = ["describe", "to_npz", "to_onnx", "to_torch"]
