"""An ensemble as models and plain data, and back."""

from __future__ import annotations

import numpy as np

from .._bundle import Bundle
from .._input.validation import check_integer
from .ensemble import Ensemble
from .member import Member, Unit
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
    tensors = {"centre": scaling.centre, "scale": scaling.scale}
    for i, member in enumerate(members):
        tensors |= {f"{i}/{name}": getattr(member, name) for name in ARRAYS}
    return Bundle([member.vae for member in members], {"ensemble": fields}, tensors)


def ensemble_from(bundle: Bundle) -> Ensemble:
    """Return the ensemble that `bundle_of` described.

    Raises
    ------
    KeyError, TypeError, ValueError
        Something is missing, or does not fit the rest.
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
    members = [
        Member(
            vae,
            **{name: tensors[f"{i}/{name}"] for name in ARRAYS},
            gives_likelihood=bool(member["gives_likelihood"]),
            distance_unit=float(member["distance_unit"]),
            cost_unit=Unit(*map(float, member["cost_unit"])),
        )
        for i, (vae, member) in enumerate(zip(bundle.models, fields["members"], strict=True))
    ]
    distance, likelihood = (Unit(*map(float, fields[name])) for name in ("distance", "likelihood"))
    return Ensemble(scaling, members, distance, likelihood)


def _plain(unit: Unit) -> list[float]:
    return [unit.centre, unit.range]
