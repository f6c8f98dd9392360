"""The command `export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .commands import Command
from .options import force_option, free_file, load_model, model_argument

if TYPE_CHECKING:
    from .. import VAE

DEFAULTS = {"onnx": "onnx", "torch": "model.pt", "npz": "model.npz"}


@click.command(cls=Command)
@model_argument
@click.option(
    "--to",
    "form",
    type=click.Choice(list(DEFAULTS)),
    required=True,
    help="Write the files encoder.onnx and decoder.onnx, PyTorch weights (.pt), or NumPy arrays "
    "(.npz).",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Write to this file or, for onnx, to this folder.  [default: onnx, model.pt or model.npz]",
)
@force_option
def export(model: Path, form: str, out: Path | None, force: bool) -> None:
    """Write a model for programs that run without vaefast.

    The export consists of an encoder, from rows to mu and logvar, and a decoder, from codes to
    expected rows. MODEL is a file that train wrote, or its folder.

    \b
    Examples:
        vaefast export runs/mnist --to onnx --out runs/mnist/onnx
        vaefast export runs/mnist --to npz --out mnist.npz

    --to torch writes the state dicts of the two modules that vaefast.export.to_torch returns, and
    the description of the model as JSON. torch.load reads the file with weights_only=True.
    """
    from ..export import to_npz, to_onnx

    vae = load_model(model, conditional=True)
    out = out or Path(DEFAULTS[form])
    if form == "onnx":
        if out.is_dir():
            for name in ("encoder.onnx", "decoder.onnx"):
                free_file(out / name, force)
        encoder, decoder = to_onnx(vae, out)
        click.echo(f"Wrote {encoder}: {_inputs(vae, 'x')} -> mu, logvar")
        click.echo(f"Wrote {decoder}: {_inputs(vae, 'z')} -> mean")
        return
    if out.suffix != (suffix := Path(DEFAULTS[form]).suffix):
        raise click.ClickException(f"--out must name a {suffix} file for --to {form}, got {out}.")
    free_file(out, force)
    if form == "torch":
        _write_torch(vae, out)
        click.echo(f"Wrote {out}: state dicts of encoder and decoder, and a description")
    else:
        to_npz(vae, out)
        click.echo(f"Wrote {out}: {len(vae.model_.weights())} arrays, and a description")


def _inputs(vae: VAE, name: str) -> str:
    """Return the inputs of a network as text, such as "x (n, 784), y (n, 10)"."""
    inputs = {name: vae.n_features_in_ if name == "x" else vae.model_.latent_dim}
    if vae.model_.reader.width:
        inputs["y"] = vae.model_.reader.width
    return ", ".join(f"{key} (n, {columns})" for key, columns in inputs.items())


def _write_torch(vae: VAE, path: Path) -> None:
    """Write the weights of the PyTorch modules.

    State dicts are the format that PyTorch recommends. TorchScript is deprecated, and newer
    versions of PyTorch may be unable to read the files of torch.export.
    """
    from .._system.files import atomic_write
    from ..export import describe, to_torch

    encoder, decoder = to_torch(vae)
    import torch

    content = {
        "encoder": encoder.state_dict(),
        "decoder": decoder.state_dict(),
        "description": json.dumps(describe(vae)),
    }
    with atomic_write(path) as temporary:
        torch.save(content, temporary)
