"""The commands of the darkroom: restyle, dream, compose."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from .commands import Command
from .options import force_option, free_file, load_image_model, out_option, seed_option

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(cls=Command)
@click.argument("photo", type=READABLE)
@click.argument("painting", type=READABLE)
@seed_option
@out_option("restyled.png")
@force_option
def restyle(photo: Path, painting: Path, seed: int | None, out: Path | None, force: bool) -> None:
    """Redraw a PHOTO with the strokes and colours of a PAINTING.

    The photograph gives edges and light, and the painting gives texture and colours. Both are image
    files of any size; images of more than 12 megapixels are made smaller. No model is needed: the
    command learns the painting.

    \b
    Example:
        vaefast restyle garden.jpg painting.jpg --out restyled.png
    """
    from .. import darkroom

    out = _picture(out or Path("restyled.png"), force)
    images = [darkroom.read(path) for path in (photo, painting)]
    _save(darkroom.restyle(*images, random_state=seed, verbose=True), out)
    click.echo(f"Wrote {out}: {photo.name} with the strokes of {painting.name}")


@click.command(cls=Command)
@click.argument("photo", type=READABLE)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Draw what this model of images knows: a file that train wrote, or its folder.  "
    "[default: the built-in digits, which are learned first]",
)
@seed_option
@out_option("dream.png")
@force_option
def dream(photo: Path, model: Path | None, seed: int | None, out: Path | None, force: bool) -> None:
    """Draw into a PHOTO what a model sees there.

    The command searches the photograph for shapes that the model knows, large ones first, and draws
    them where they fit. PHOTO is an image file of any size; an image of more than 12 megapixels is
    made smaller.

    \b
    Examples:
        vaefast dream clouds.jpg
        vaefast dream leaves.jpg --model runs/faces --out faces.png
    """
    from .. import VAE, darkroom, datasets

    out = _picture(out or Path("dream.png"), force)
    image = darkroom.read(photo)
    if model is None:
        vae = VAE(10, (256,), likelihood="gaussian", sigma=0.1, epochs=20, verbose=False)
        vae.set_params(random_state=0).fit(datasets.load("strokes").X[:5000])
    else:
        vae = load_image_model(model, "dream")
    _save(darkroom.dream(vae, image, random_state=seed, verbose=True), out)
    click.echo(f"Wrote {out}: what the model sees in {photo.name}")


@click.command(cls=Command)
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("pieces", nargs=-1, type=READABLE)
@click.option(
    "--bars",
    type=click.IntRange(min=1),
    help="Write a new piece of this many bars.  [default: 16]",
)
@seed_option
@out_option("new.mid")
@force_option
def compose(
    source: Path,
    pieces: tuple[Path, ...],
    bars: int | None,
    seed: int | None,
    out: Path | None,
    force: bool,
) -> None:
    """Learn the music of SOURCE, and write a new piece as a MIDI file.

    SOURCE is a MIDI file, or a folder of MIDI files. With one of PIECES, the result is a variation
    of that piece; with two, a morph from one into the other. Drums are left out. The command needs
    mido: pip install 'vaefast[music]'.

    \b
    Examples:
        vaefast compose chorales/ --bars 32 --out new.mid
        vaefast compose chorales/ mine.mid --out variation.mid
        vaefast compose chorales/ mine.mid yours.mid --out morph.mid
    """
    from .. import darkroom

    out = free_file(out or Path("new.mid"), force)
    if len(pieces) > 2:
        raise click.UsageError(f"Name at most two PIECES, got {len(pieces)}.")
    if pieces and bars is not None:
        raise click.UsageError("--bars sets the length of a new piece: leave it out with PIECES.")
    given = [darkroom.read_midi(path)[0] for path in pieces]
    composer = darkroom.Composer(random_state=seed, verbose=True).fit(darkroom.read_midi(source))
    if len(given) == 2:
        piece, what = composer.morph(*given), f"a morph of {pieces[0].name} into {pieces[1].name}"
    elif given:
        piece, what = composer.vary(given[0], random_state=seed), f"a variation of {pieces[0].name}"
    else:
        piece, what = composer.new(bars or 16, random_state=seed), "a new piece"
    darkroom.write_midi(piece, out)
    click.echo(f"Wrote {out}: {what}, {piece.bars} bars, from {composer.bars_:,} bars of {source}")


def _picture(out: Path, force: bool) -> Path:
    """Return the file to write, after checking that its name is that of a picture."""
    from PIL import Image

    suffixes = [end for end, kind in Image.registered_extensions().items() if kind in Image.SAVE]
    if out.suffix.lower() not in suffixes:
        raise click.ClickException(
            f"--out must name a picture, such as a .png or a .jpg file, got {out}."
        )
    return free_file(out, force)


def _save(pixels: NDArray[np.uint8], out: Path) -> None:
    from PIL import Image

    from .. import pictures

    pictures.save(Image.fromarray(pixels), out)
