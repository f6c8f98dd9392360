"""Conversion of fitted models to the parts of a file, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._input.conditions import Conditions
from .._input.feature_names import FeatureNames
from .._input.likelihoods import Columns, Totals
from .._input.reader import Reader
from .._input.seeds import seed_from
from .._input.standardization import Standardization
from .._input.validation import check_integer
from ..tables import Table
from .building import form_of, restore_core
from .config import TrainingConfig
from .container import VERSION, Part, pack, parts_from, unpack
from .fitted import FittedModel, reading
from .history import history_from, history_part
from .priors import Mixture, Posteriors
from .provenance import Provenance
from .specs import as_data, from_data
from .version_1 import parts_from_version_1

KNOWN = {  # parts, and the version of each
    "model": 1,
    "standardization": 1,
    "codes": 1,
    "priors": 1,
    "weights": 1,
    "history": 1,
    "optimizer": 1,
    "provenance": 1,
    "table": 1,
    "training": 1,  # of a checkpoint; the model works without this part and the next one
    "detector": 1,
    "synthesizer": 1,
    "imputer": 1,
    "members": 1,  # further models of a detector or an imputer
}
UNUSABLE = ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError


def to_bytes(model: FittedModel, training: bool) -> bytes:
    """Return a model as the bytes of a file, which include the optimizer's state if `training`."""
    return pack(parts_of(model, training))


def from_bytes(data: bytes, source: str) -> FittedModel:
    """Return the model that a file holds, of any version of the format.

    Parameters
    ----------
    data : bytes
        The content of the file.
    source : str
        Name of the file in error messages.

    Raises
    ------
    ValueError
        The content is truncated or edited, comes from a later version, or is not a model.
    """
    parts = read_parts(data, source)
    try:
        return model_from(parts)
    except UNUSABLE as error:
        raise ValueError(f"{source} does not hold a usable model: {error}") from error


def read_parts(data: bytes, source: str) -> dict[str, Part]:
    """Return the parts of a file, of any version of the format; see `from_bytes`."""
    version, header, tensors = unpack(data, source)
    try:
        return (parts_from if version == VERSION else parts_from_version_1)(header, tensors)
    except UNUSABLE as error:
        raise ValueError(f"{source} does not hold a usable model: {error}") from error


@reading
def parts_of(model: FittedModel, training: bool) -> dict[str, Part]:
    """Return a model as parts, which include the optimizer's moments and steps if `training`."""
    params = {name: plain(value) for name, value in model.params.items()}
    if not isinstance(params["random_state"], (int, type(None))):
        params["random_state"] = None  # the model keeps its seed instead of a generator
    parts = {
        "model": Part(
            version=1,
            fields={
                "params": params,
                "feature_shape": list(model.feature_shape),
                "conditions": None if model.conditions is None else asdict(model.conditions),
                "feature_names": model.names,
                "exposed": model.reader.exposed,
                "divisor": model.reader.divisor,
                "totals": {str(run): values for run, values in model.reader.totals.items()},
                "seed": model.seed,
                "given": {name: plain(value) for name, value in model.given.items()},
            },
        ),
        "weights": Part(1, tensors=dict(model.weights())),
        "history": history_part(model.history, model.latent_dim),
        "provenance": Part(1, asdict(model.provenance)),
    }
    if (standardization := model.reader.standardization) is not None:
        parts["standardization"] = Part(1, tensors=dict(vars(standardization)))
    if model.posteriors is not None:
        parts["codes"] = Part(1, tensors=dict(vars(model.posteriors)))
    if priors := dict(model.priors):  # a copy, because another reader may add a prior
        parts["priors"] = _priors_part(priors)
    if model.table is not None:
        parts["table"] = Part(1, model.table.to_dict())
    if training:
        parts["optimizer"] = Part(1, {"steps": model.core.optimizer_steps}, _moments(model))
    return parts


def model_from(
    parts: Mapping[str, Part], overrides: Mapping[str, Any] | None = None
) -> FittedModel:
    """Return the model that `parts_of` described.

    Parameters
    ----------
    parts : mapping of str to Part
        The parts of a file.
    overrides : mapping or None, default=None
        Parameters that replace those of the file, such as the number of threads.

    Raises
    ------
    AttributeError, KeyError, TypeError, ValueError
        The parts are not those of a model, or contradict each other.
    """
    check_known(parts)
    if "detector" in parts and "model" not in parts:
        raise ValueError("it is the ensemble of a detector: AnomalyDetector.load reads it")
    fields = parts["model"].fields
    # Files of earlier versions lack these parts.
    params = {"standardize": False, "normalize": None, "components": None, "window": None}
    params |= {name: _from_plain(value) for name, value in fields["params"].items()}
    params |= overrides or {}
    shape = [check_integer(size, "feature_shape") for size in fields["feature_shape"]]
    reader = replace(
        Reader.of(params, shape),
        conditions=_conditions(fields["conditions"]),
        names=_feature_names(fields["feature_names"], shape),
        exposed=fields["exposed"] is True,
        standardization=_standardization(params, parts, math.prod(shape)),
    )
    reader = replace(reader, totals=_totals(fields.get("totals", {}), reader.columns))
    if (divisor := fields.get("divisor")) is not None:
        if divisor not in (1, 255):
            raise ValueError(f"divisor={divisor!r} must be 1 or 255")
        reader = replace(reader, divisor=float(divisor))
    TrainingConfig.of(params, whole=False)  # raises an error now rather than in partial_fit
    seed_from(params["random_state"])
    tensors = parts["weights"].tensors
    check_finite(tensors)
    core = restore_core(params, reader.features, tensors, reader.width, reader.standardization)
    model = FittedModel(
        core=core,
        reader=reader,
        params=params,
        seed=check_integer(fields["seed"], "seed", low=0, high=2**64 - 1),
        history=history_from(parts["history"], core.latent_dim),
        given={name: _from_plain(v) for name, v in fields.get("given", {}).items()},
        provenance=_provenance(parts.get("provenance")),
    )
    if "codes" in parts:
        model.posteriors = _posteriors(parts["codes"], core.latent_dim)
    if "priors" in parts:
        model.priors = _priors(parts["priors"], core.latent_dim)
    if "table" in parts:
        model.keep_table(Table.from_dict(parts["table"].fields))
    if "optimizer" in parts:
        _restore_optimizer(model, parts["optimizer"])
    return model


def check_finite(weights: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError if a weight is infinite or NaN."""
    for name, tensor in weights.items():
        if not np.isfinite(tensor).all():
            raise ValueError(f"the weights {name!r} are not finite")


def check_known(parts: Mapping[str, Part]) -> None:
    """Raise ValueError if a later version of vaefast wrote one of the parts."""
    for name, part in parts.items():
        if name not in KNOWN or part.version > KNOWN[name]:
            raise ValueError(
                f"a later version of vaefast saved it: this one does not know version "
                f"{part.version} of the part {name!r}"
            )


def _standardization(
    params: Mapping[str, Any], parts: Mapping[str, Part], features: int
) -> Standardization | None:
    if not params["standardize"]:
        return None
    tensors = parts["standardization"].tensors
    means, scales = tensors["means"], tensors["scales"]
    for array in (means, scales):
        if array.shape != (features,) or array.dtype != np.float32:
            raise ValueError(f"means and scales must be {features} numbers of float32 each")
    if not (np.isfinite(means).all() and np.isfinite(scales).all() and (scales > 0).all()):
        raise ValueError("means must be finite, and scales positive and finite")
    return Standardization(means, scales)


def _totals(data: Mapping[str, Any], columns: Columns) -> Totals:
    runs = [i for i, (name, _) in enumerate(columns) if name == "multinomial"]
    if sorted(data, key=int) != [str(run) for run in runs] or not all(data.values()):
        raise ValueError(f"totals={data!r} must be those of the multinomial columns")
    return {
        run: tuple(check_integer(total, "totals", low=0) for total in data[str(run)])
        for run in runs
    }


def _provenance(part: Part | None) -> Provenance:
    if part is None:  # version 1 of the format had none
        unknown = "unknown"
        return Provenance(unknown, unknown, unknown, unknown, (), unknown)
    fields = dict(part.fields)
    shape = tuple(check_integer(size, "data_shape") for size in fields.pop("data_shape"))
    for name, text in fields.items():
        if not isinstance(text, str):
            raise ValueError(f"provenance: {name}={text!r} must be text")
    return Provenance(**fields, data_shape=shape)


def _posteriors(part: Part, latent_dim: int) -> Posteriors:
    mu, logvar = part.tensors["mu"], part.tensors["logvar"]
    for array in (mu, logvar):
        if array.ndim != 2 or array.shape != (len(mu), latent_dim) or array.dtype != np.float32:
            raise ValueError(f"codes must be two matrices of float32 with {latent_dim} columns")
    if not len(mu) or not np.isfinite(mu).all() or not (logvar < np.inf).all():
        raise ValueError("the codes must be finite")
    return Posteriors(mu, logvar)


def _priors_part(priors: Mapping[str, Mixture | FittedModel]) -> Part:
    tensors: dict[str, Any] = {}
    for name, prior in priors.items():
        if isinstance(prior, Mixture):
            tensors |= {f"{name}/{key}": array for key, array in vars(prior).items()}
        else:  # a file within the file
            tensors[name] = np.frombuffer(to_bytes(prior, training=False), np.uint8)
    return Part(1, {"names": sorted(priors)}, tensors)


def _priors(part: Part, latent_dim: int) -> dict[str, Mixture | FittedModel]:
    priors: dict[str, Mixture | FittedModel] = {}
    for name in part.fields["names"]:
        if name in part.tensors:
            priors[name] = from_bytes(part.tensors[name].tobytes(), f"the prior {name!r}")
            continue
        found = Mixture(*(part.tensors[f"{name}/{key}"] for key in ("shares", "means", "factors")))
        k = len(found.shares)
        shapes = [array.shape for array in vars(found).values()]
        if shapes != [(k,), (k, latent_dim), (k, latent_dim, latent_dim)]:
            raise ValueError(f"the prior {name!r} has shapes {shapes}")
        if not all(np.isfinite(array).all() for array in vars(found).values()):
            raise ValueError(f"the prior {name!r} is not finite")
        if (found.shares < 0).any() or abs(found.shares.sum() - 1) > 1e-6:
            raise ValueError(f"the shares of the prior {name!r} are not probabilities")
        priors[name] = found
    return priors


def _restore_optimizer(model: FittedModel, part: Part) -> None:
    if form_of(part.tensors) != form_of(_moments(model)):
        raise ValueError("the moments are not those that the optimizer needs")
    for slot in model.moments():
        prefix = f"{slot}/"
        tensors = {k.removeprefix(prefix): t for k, t in part.tensors.items() if k[:2] == prefix}
        model.core.set_tensors(tensors, slot)
    steps = check_integer(part.fields["steps"], "optimizer steps", low=0, high=2**63 - 1)
    model.core.optimizer_steps = steps


def _moments(model: FittedModel) -> dict[str, Any]:
    return {
        f"{slot}/{name}": tensor
        for slot, tensors in model.moments().items()
        for name, tensor in tensors.items()
    }


def _conditions(data: Mapping[str, Any] | None) -> Conditions | None:
    if data is None:
        return None
    width, classes = data["width"], data["classes"]
    if classes is not None and (len(classes) != width or not width):
        raise ValueError(f"{len(classes)} classes do not fit {width} conditions")
    means, scales = (tuple(map(float, data.get(name, ()))) for name in ("means", "scales"))
    if any(len(numbers) not in (0, width) for numbers in (means, scales)):
        raise ValueError(f"{len(means)} means, {len(scales)} scales do not fit {width} conditions")
    if not all(0 < scale < math.inf for scale in scales):
        raise ValueError(f"the scales of the conditions must be positive and finite: {scales}")
    width = check_integer(width, "conditions")
    return Conditions(width, None if classes is None else tuple(classes), means, scales)


def _feature_names(data: Any, shape: Sequence[int]) -> FeatureNames | None:
    if data is None:
        return None
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        raise ValueError(f"feature_names={data!r} must be a list of text")
    if [len(data)] != list(shape):
        raise ValueError(f"there are {len(data)} feature names, but rows have shape {shape}")
    return tuple(data)


def plain(value: Any) -> Any:
    """Return a parameter in a form that JSON can hold."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (np.random.Generator, np.random.RandomState)):
        return value
    if (data := as_data(value)) is not None:
        return data
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(item) for item in value]
    if isinstance(value, (str, int, float, type(None))):
        return value
    raise TypeError(f"cannot save {value!r} of type {type(value).__name__}")


def _from_plain(value: Any) -> Any:
    """Return a parameter in the form that `VAE` takes: tuples for lists, objects for dicts."""
    if isinstance(value, dict):
        return from_data({name: _from_plain(item) for name, item in value.items()})
    return tuple(map(_from_plain, value)) if isinstance(value, list) else value
