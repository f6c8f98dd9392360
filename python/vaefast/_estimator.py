"""Base of the estimators: parameters, output and metadata as scikit-learn expects them.

scikit-learn stays optional: it is imported when it asks for its own objects.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ._input.annotated import is_anndata
from ._input.validation import check_choice

if TYPE_CHECKING:
    from typing_extensions import Self

UNCHANGED = "$UNCHANGED$"  # scikit-learn's mark for a request that stays as it is


def parameters_of(cls: type) -> dict[str, inspect.Parameter]:
    """Return the parameters of a constructor by name.

    A constructor that takes **kwargs also has the parameters of its base class.
    """
    found: dict[str, inspect.Parameter] = {}
    for kind in cls.__mro__:
        if "__init__" not in vars(kind):
            continue
        _, *parameters = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found.setdefault(parameter.name, parameter)
        if all(parameter.kind != parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def parameter_names(cls: type) -> list[str]:
    """Return the names of a constructor's parameters."""
    return list(parameters_of(cls))


class Estimator:
    """Base of estimators whose constructor only stores each argument under the same name."""

    # Arguments by method that meta-estimators pass on only on request. They always pass X, and y to
    # fit, partial_fit and score.
    _METADATA: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of a VAE among the parameters, as vae__NAME.

        Returns
        -------
        dict of str to object
        """
        params = {name: getattr(self, name) for name in parameter_names(type(self))}
        if deep:
            for name, value in list(params.items()):
                if isinstance(value, Estimator):
                    params |= {f"{name}__{key}": part for key, part in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Parameters
        ----------
        **params : object
            New values. vae__NAME sets the parameter NAME of a VAE among the parameters.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            No parameter has such a name.
        """
        for name in params:
            check_choice(name.partition("__")[0], "parameter", parameter_names(type(self)))
        # A new VAE comes before its own parameters.
        for name in sorted(params, key=lambda name: "__" in name):
            outer, _, inner = name.partition("__")
            if not inner:
                setattr(self, outer, params[name])
            elif isinstance(part := getattr(self, outer), Estimator):
                part.set_params(**{inner: params[name]})
            else:
                raise ValueError(f"{outer}={part!r} must be a VAE for {name} to be set")
        return self

    def get_metadata_routing(self) -> Any:
        """Return the arguments of each method that scikit-learn's meta-estimators pass on."""
        from sklearn.utils.metadata_routing import MetadataRequest

        found = getattr(self, "_metadata_request", None)
        if found is not None:
            return found
        request = MetadataRequest(owner=type(self).__name__)
        for method, names in self._METADATA.items():
            for name in names:
                getattr(request, method).add_request(param=name, alias=None)
        return request

    def set_fit_request(self, **requests: Any) -> Self:
        """Choose the arguments of `fit` that meta-estimators pass on, such as exposure=True."""
        return self._request("fit", requests)

    def _request(self, method: str, requests: Mapping[str, Any]) -> Self:
        routing = self.get_metadata_routing()
        for name, alias in requests.items():
            check_choice(name, f"{method} argument", self._METADATA.get(method, ()))
            if alias != UNCHANGED:
                getattr(routing, method).add_request(param=name, alias=alias)
        self._metadata_request = routing  # the name that clone copies
        return self

    def __repr__(self) -> str:
        defaults = parameters_of(type(self))
        params = self.get_params(deep=False)
        changed = {
            name: value
            for name, value in params.items()
            if repr(value) != repr(defaults[name].default)
        }
        shown = ", ".join(f"{name}={value!r}" for name, value in changed.items())
        return f"{type(self).__name__}({shown})"

    def _repr_html_(self) -> str | None:
        """Return scikit-learn's diagram of the estimator, where scikit-learn is loaded."""
        if "sklearn" not in sys.modules:
            return None
        from sklearn.utils import estimator_html_repr

        return str(estimator_html_repr(self))


class Transformer(Estimator):
    """Base of estimators with `transform`."""

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container that `transform` returns.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            "default" is a NumPy array. None changes nothing.

        Returns
        -------
        self
        """
        if transform is not None:
            check_choice(transform, "transform", ("default", "pandas", "polars"))
            self._sklearn_output_config = {"transform": transform}  # the name that clone copies
        return self

    def _in_output(self, array: Any, X: Any) -> Any:
        """Return an array, or the frame that `set_output` or scikit-learn's settings ask for."""
        container = self._container()
        if container == "default":
            return array
        names = list(self.get_feature_names_out())
        if container == "polars":
            import polars

            return polars.DataFrame(array, schema=names)
        import pandas

        index = X.obs_names if is_anndata(X) else None
        if isinstance(X, pandas.DataFrame | pandas.Series):
            index = X.index
        return pandas.DataFrame(array, index=index, columns=names)

    def _container(self) -> str:
        """Return the container that `set_output` or scikit-learn's settings ask for."""
        container = getattr(self, "_sklearn_output_config", {}).get("transform")
        if container is None and (sklearn := sys.modules.get("sklearn")) is not None:
            container = sklearn.get_config()["transform_output"]
        return container or "default"

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Return the names of the columns that `transform` returns."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        """Return the tags by which scikit-learn knows the estimator as a transformer."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float32"]),
            input_tags=InputTags(three_d_array=True),
        )


class LatentTransformer(Transformer):
    """Base of transformers with `partial_fit`, `inverse_transform` and `score`."""

    def set_partial_fit_request(self, **requests: Any) -> Self:
        """Choose the arguments of `partial_fit` that meta-estimators pass on."""
        return self._request("partial_fit", requests)

    def set_score_request(self, **requests: Any) -> Self:
        """Choose the arguments of `score` that meta-estimators pass on."""
        return self._request("score", requests)

    def set_transform_request(self, **requests: Any) -> Self:
        """Choose whether meta-estimators pass y on to `transform`, as y=True."""
        return self._request("transform", requests)

    def set_inverse_transform_request(self, **requests: Any) -> Self:
        """Choose whether meta-estimators pass y on to `inverse_transform`, as y=True."""
        return self._request("inverse_transform", requests)
