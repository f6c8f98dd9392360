"""Conversion of an ensemble to models and plain data, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._bundle import Bundle
from .._engine.container import Tensors
from .._input.validation import check_integer
from ..vae import VAE
from .ensemble import Ensemble
from .member import Member, Unit
from .mixed import Encoding
from .scaling import Scaling

ARRAYS = ("columns", "references", "usual_squares", "usual_costs")  # of a member


def bundle_of(ensemble: Ensemble) -> Bundle:
    """Return the models of the members, and everything else as fields and tensors."""
    scaling, members = ensemble.scaling, ensemble.members
    fields = {
        "feature_shape": list(scaling.shape),
        "feature_names": None if scaling.names is None else list(scaling.names),
        "distance": _plain(ensemble.distance),
        "likelihood": _plain(ensemble.likelihood),
        "members": [
            {
                "gives_likelihood": member.gives_likelihood,
                "distance_unit": member.distance_unit,
                "cost_unit": _plain(member.cost_unit),
            }
            for member in members
        ],
    }
    if ensemble.encoding is not None:
        fields["columns"] = ensemble.encoding.to_list()
    tensors = {"centre": scaling.centre, "scale": scaling.scale}
    for i, member in enumerate(members):
        tensors |= {f"{i}/{name}": getattr(member, name) for name in ARRAYS}
    return Bundle([member.vae for member in members], {"ensemble": fields}, tensors)


def ensemble_from(bundle: Bundle) -> Ensemble:
    """Return the ensemble that `bundle_of` described.

    Raises
    ------
    KeyError, TypeError, ValueError
        A field or a tensor is missing, or does not fit the others.
    """
    fields, tensors = bundle.fields["ensemble"], bundle.tensors
    shape = tuple(check_integer(size, "feature_shape") for size in fields["feature_shape"])
    names = fields["feature_names"]
    scaling = Scaling(
        shape, None if names is None else tuple(names), tensors["centre"], tensors["scale"]
    )
    for array in (scaling.centre, scaling.scale):
        if array.shape != (scaling.features,) or not np.isfinite(array).all():
            raise ValueError(f"centre and scale must be {scaling.features} finite numbers each")
    columns = fields.get("columns")
    encoding = None if columns is None else Encoding.from_list(columns)
    if encoding is not None and encoding.widths.sum() != scaling.features:
        raise ValueError(f"the columns of the frame must become {scaling.features} numbers")
    members = [
        Member(
            vae,
            **_arrays_of(vae, {name: tensors[f"{i}/{name}"] for name in ARRAYS}, scaling.features),
            gives_likelihood=bool(member["gives_likelihood"]),
            distance_unit=float(member["distance_unit"]),
            cost_unit=Unit(*map(float, member["cost_unit"])),
        )
        for i, (vae, member) in enumerate(zip(bundle.models, fields["members"], strict=True))
    ]
    distance, likelihood = (Unit(*map(float, fields[name])) for name in ("distance", "likelihood"))
    return Ensemble(scaling, members, distance, likelihood, encoding)


def _arrays_of(vae: VAE, arrays: Tensors, features: int) -> Tensors:
    """Return the arrays of a member, or raise ValueError if they do not fit its model."""
    m, columns = vae.n_features_in_, arrays["columns"]
    if columns.dtype != np.int64 or columns.shape != (m,) or not _are_within(columns, features):
        raise ValueError(f"the columns of a member must be {m} of the {features} features")
    if arrays["references"].shape[1:] != (m,) or not len(arrays["references"]):
        raise ValueError(f"the reference rows of a member must be rows of {m} numbers")
    for name in ("usual_squares", "usual_costs"):
        if arrays[name].shape != (m,) or not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} of a member must be {m} finite numbers")
    return arrays


def _are_within(columns: NDArray[np.int64], features: int) -> bool:
    return bool(((columns >= 0) & (columns < features)).all())


def _plain(unit: Unit) -> list[float]:
    return [unit.centre, unit.range]
