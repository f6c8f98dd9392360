"""Files of version 1 of the format: a JSON header and float32 tensors. They must always load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..optimizers import BY_NAME
from .container import Part, Tensors
from .history import history_part

SLOTS = {"m": "optimizer.first.", "v": "optimizer.second."}  # prefixes of the names of the moments
OPTIMIZERS = {  # parameters that became fields of an optimizer, with new names
    "adam": {"adam_betas": "betas", "adam_epsilon": "epsilon"},
    "adamw": {"adam_betas": "betas", "adam_epsilon": "epsilon", "weight_decay": "weight_decay"},
    "sgd": {"momentum": "momentum"},
}


def parts_from_version_1(model: Mapping[str, Any], tensors: Tensors) -> dict[str, Part]:
    """Return the parts of version 2 that are equivalent to a file of version 1."""
    params = dict(model["params"])
    name = params["optimizer"]
    settings = {new: params[old] for old, new in OPTIMIZERS[name].items()}
    if BY_NAME[name](**settings) != BY_NAME[name]():
        params["optimizer"] = {"optimizer": name, **settings}
    for name in ("momentum", "adam_betas", "adam_epsilon", "weight_decay"):
        del params[name]
    parts = {
        "model": Part(
            version=1,
            fields={
                "params": params,
                "feature_shape": model["feature_shape"],
                "conditions": model["conditions"],
                "feature_names": model.get("feature_names"),
                "exposed": model.get("exposed") is True,
                "seed": model["seed"],
            },
        )
    }
    if "optimizer_steps" in model:
        moments = {
            f"{slot}/{name.removeprefix(prefix)}": tensors.pop(name)
            for slot, prefix in SLOTS.items()
            for name in [name for name in tensors if name.startswith(prefix)]
        }
        parts["optimizer"] = Part(1, {"steps": model["optimizer_steps"]}, moments)
    if len(model["history"]["epoch"]) != model["n_iter"]:
        raise ValueError(f"the history is not that of {model['n_iter']} epochs")
    parts["weights"] = Part(1, tensors=tensors)
    parts["history"] = history_part(model["history"], params["latent_dim"])
    return parts
