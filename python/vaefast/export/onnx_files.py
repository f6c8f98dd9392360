"""A model as two ONNX files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._core import COUNTS
from .._input.likelihoods import RATES, Columns
from .._system.files import atomic_write, output_folder
from .._version import __version__
from ..errors import MissingExtraError
from ..vae import VAE
from .networks import BOUND_WIDTH, LARGEST_LOG_RATE, LINEAR_UP_TO, Networks, describe, fitted

OPSET = 17
IR_VERSION = 8  # of ONNX 1.12, the first release with this opset
FILES = "encoder.onnx", "decoder.onnx"
MOST_BYTES = 2**31 - 2**20  # protobuf limits a file to 2 GiB; the rest is for nodes and names


def to_onnx(vae: VAE, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write encoder.onnx and decoder.onnx to a folder.

    The encoder maps x to mu and logvar, and the decoder maps z to mean. If the model is
    conditional, both take y as a second input. See `vaefast.export` for shapes and units. The
    number of rows is free. With missing="mask" the encoder itself replaces NaN by 0, as the model
    does.

    Parameters
    ----------
    vae : VAE
        A fitted model.
    folder : path
        The folder, which is created if it does not exist. Existing files with these names are
        replaced.

    Returns
    -------
    encoder, decoder : pathlib.Path
        The files: opset 17, float32, without random nodes. The metadata of each file holds the
        items of `describe`, as JSON.

    Raises
    ------
    NotFittedError
        The model is not fitted yet.
    MissingExtraError
        The package onnx is not installed: ``pip install 'vaefast[onnx]'``.
    ValueError, TypeError
        `folder` is the name of an .onnx file, the weights of one network need 2 GiB or more, or
        `vae` is not a VAE.
    OSError
        The files can't be written.
    """
    networks, description = Networks.of(fitted(vae, "to_onnx")), describe(vae)
    folder = Path(folder)
    if folder.suffix.lower() == ".onnx":
        raise ValueError(
            f"{folder}: an export is two files, {' and '.join(FILES)}; name the folder for them"
        )
    content = [
        _to_bytes(_encoder(networks), networks, "encoder", description),
        _to_bytes(_decoder(networks), networks, "decoder", description),
    ]
    with output_folder(folder, (), force=True):
        for name, data in zip(FILES, content, strict=True):
            with atomic_write(folder / name) as temporary:
                temporary.write_bytes(data)
    return folder / FILES[0], folder / FILES[1]


class Graph:
    """A graph under construction. Its methods return the name of the value that they add.

    Attributes
    ----------
    inputs, outputs : dict of str to int
        Number of columns by name.
    """

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError as error:
            raise MissingExtraError(
                "to_onnx needs the package onnx: pip install 'vaefast[onnx]'"
            ) from error
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._constants: dict[str, np.ndarray] = {}
        self._numbers: dict[float, str] = {}
        self.inputs: dict[str, int] = {}
        self.outputs: dict[str, int] = {}

    def input(self, name: str, columns: int) -> str:
        """Add an input (n, columns)."""
        self.inputs[name] = columns
        return name

    def output(self, name: str, value: str, columns: int) -> None:
        """Make a value an output (n, columns) of this name."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name], name=name))
        self.outputs[name] = columns

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a tensor, once for each name."""
        self._constants[name] = value
        return name

    def number(self, value: float) -> str:
        """Add a float32 scalar, once for each value."""
        name = self._numbers.setdefault(value, f"number_{len(self._numbers)}")
        return self.constant(name, np.array(value, np.float32))

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one result."""
        return self._node(operator, inputs, 1, attributes)[0]

    def split(self, x: str, columns: Columns) -> list[str]:
        """Add a node that splits the columns of x."""
        sizes = np.array([count for _, count in columns], np.int64)
        names = self._node("Split", (x, self.constant("columns", sizes)), len(sizes), {"axis": 1})
        return list(names)

    def _node(
        self, operator: str, inputs: Iterable[str], results: int, attributes: Mapping[str, Any]
    ) -> list[str]:
        node = f"{operator}_{len(self._nodes)}"
        names = [node] if results == 1 else [f"{node}_{i}" for i in range(results)]
        make = self._onnx.helper.make_node
        self._nodes.append(make(operator, list(inputs), names, name=node, **attributes))
        return names

    def to_bytes(self, name: str, text: str, properties: dict[str, str]) -> bytes:
        """Return the content of an .onnx file.

        Raises
        ------
        ValueError
            The tensors need 2 GiB or more.
        """
        size = sum(tensor.nbytes for tensor in self._constants.values())
        if size > MOST_BYTES:
            raise ValueError(
                f"the {name} holds {size / 2**30:.1f} GiB of weights, but an .onnx file is limited "
                "to 2 GiB; to_npz has no such limit"
            )
        helper, floats = self._onnx.helper, self._onnx.TensorProto.FLOAT

        def rows(shapes: Mapping[str, int]) -> list[Any]:
            make = helper.make_tensor_value_info
            return [make(key, floats, ["n", columns]) for key, columns in shapes.items()]

        tensors = [
            self._onnx.numpy_helper.from_array(value, key) for key, value in self._constants.items()
        ]
        graph = helper.make_graph(
            self._nodes, name, rows(self.inputs), rows(self.outputs), tensors, doc_string=text
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="vaefast",
            producer_version=__version__,
        )
        helper.set_model_props(model, properties)
        return bytes(model.SerializeToString())


Function = Callable[[Graph, str], str]


def _to_bytes(graph: Graph, networks: Networks, name: str, description: dict[str, Any]) -> bytes:
    result = "mu and logvar of q(z|x)" if name == "encoder" else "E[x|z]"
    text = (
        f"{name} of a variational autoencoder, {networks.features} features and "
        f"{networks.latent_dim} latent dimensions: {', '.join(graph.inputs)} -> {result}"
    )
    properties = {key: json.dumps(value) for key, value in description.items()}
    return graph.to_bytes(name, text, properties)


def _encoder(networks: Networks) -> Graph:
    graph = Graph()
    x = graph.input("x", networks.features)
    if (standardization := networks.standardization) is not None:
        x = graph.add("Sub", x, graph.constant("means", standardization.means))
        x = graph.add("Div", x, graph.constant("scales", standardization.scales))
    if networks.missing:
        x = graph.add("Where", graph.add("IsNaN", x), graph.number(0), x)
    if networks.normalized:
        columns = graph.constant("axis", np.array([1], np.int64))
        length = graph.add("Sqrt", graph.add("ReduceSum", graph.add("Mul", x, x), columns))
        x = graph.add("Div", x, graph.add("Max", length, graph.number(1e-12)))
    elif networks.reads_counts:
        x = _by_columns(graph, x, networks.columns, dict.fromkeys(COUNTS, _log1p))
    h = _hidden(graph, networks, networks.encoder, x)
    raw = _dense(graph, networks, "logvar", h)
    low, high = graph.number(-LINEAR_UP_TO), graph.number(LINEAR_UP_TO)
    inner, width = graph.add("Clip", raw, low, high), graph.number(BOUND_WIDTH)
    bent = graph.add("Tanh", graph.add("Div", graph.add("Sub", raw, inner), width))
    logvar = graph.add("Add", inner, graph.add("Mul", bent, width))
    graph.output("mu", _dense(graph, networks, "mu", h), networks.latent_dim)
    graph.output("logvar", logvar, networks.latent_dim)
    return graph


def _decoder(networks: Networks) -> Graph:
    graph = Graph()
    h = _hidden(graph, networks, networks.decoder, graph.input("z", networks.latent_dim))
    output = _dense(graph, networks, "output", h)
    mean = _by_columns(graph, output, networks.columns, MEANS)
    if (standardization := networks.standardization) is not None:
        mean = graph.add("Mul", mean, graph.constant("scales", standardization.scales))
        mean = graph.add("Add", mean, graph.constant("means", standardization.means))
    graph.output("mean", mean, networks.features)
    return graph


def _hidden(graph: Graph, networks: Networks, names: Iterable[str], h: str) -> str:
    """Add the conditions and the hidden layers."""
    if networks.width:
        y = graph.input("y", networks.width)
        if networks.scales.size:
            centred = graph.add("Sub", y, graph.constant("y_means", networks.means))
            y = graph.add("Div", centred, graph.constant("y_scales", networks.scales))
        h = graph.add("Concat", h, y, axis=1)
    for name in names:
        h = ACTIVATIONS[networks.activation](graph, _dense(graph, networks, name, h))
    return h


def _dense(graph: Graph, networks: Networks, name: str, h: str) -> str:
    layer = networks.layers[name]
    weight = graph.constant(f"{name}.weight", layer.weight)
    return graph.add("Gemm", h, weight, graph.constant(f"{name}.bias", layer.bias))


def _by_columns(graph: Graph, x: str, columns: Columns, functions: Mapping[str, Function]) -> str:
    """Apply the function of its likelihood to each block of columns."""
    if not any(likelihood in functions for likelihood, _ in columns):
        return x
    blocks = [x] if len(columns) == 1 else graph.split(x, columns)
    results = [
        functions[likelihood](graph, block) if likelihood in functions else block
        for (likelihood, _), block in zip(columns, blocks, strict=True)
    ]
    return results[0] if len(results) == 1 else graph.add("Concat", *results, axis=1)


def _operator(name: str, **attributes: float) -> Function:
    return lambda graph, x: graph.add(name, x, **attributes)


def _gelu(graph: Graph, x: str) -> str:  # ONNX has an operator for it only from opset 20 on
    erf = graph.add("Erf", graph.add("Mul", x, graph.number(0.5**0.5)))
    double = graph.add("Mul", x, graph.add("Add", erf, graph.number(1)))
    return graph.add("Mul", double, graph.number(0.5))


ACTIVATIONS: dict[str, Function] = {
    "relu": _operator("Relu"),
    "tanh": _operator("Tanh"),
    "sigmoid": _operator("Sigmoid"),
    "elu": _operator("Elu", alpha=1.0),
    "leaky_relu": _operator("LeakyRelu", alpha=0.01),
    "softplus": _operator("Softplus"),
    "gelu": _gelu,
    "silu": lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    "identity": lambda graph, x: x,
}


def _log1p(graph: Graph, x: str) -> str:
    return graph.add("Log", graph.add("Add", x, graph.number(1)))


def _rates(graph: Graph, log_rates: str) -> str:
    return graph.add("Exp", graph.add("Min", log_rates, graph.number(LARGEST_LOG_RATE)))


def _continuous_bernoulli(graph: Graph, a: str) -> str:
    """Add 1 / (1 - exp(-a)) - 1 / a, by the core's series where |a| < 0.5."""
    add, number = graph.add, graph.number
    size, square = add("Abs", a), add("Mul", a, a)
    series = number(1 / 30240)
    for coefficient in (-1 / 720, 1 / 12):
        series = add("Add", add("Mul", series, square), number(coefficient))
    safe = add("Max", size, number(0.5))
    decay = add("Sub", number(1), add("Exp", add("Neg", safe)))
    far = add("Sub", add("Reciprocal", decay), add("Reciprocal", safe))
    signed = add("Mul", add("Sign", a), add("Sub", far, number(0.5)))
    odd = add("Where", add("Less", size, number(0.5)), add("Mul", series, a), signed)
    return add("Add", odd, number(0.5))


MEANS: dict[str, Function] = {  # all others use the output itself
    "bernoulli": _operator("Sigmoid"),
    "continuous_bernoulli": _continuous_bernoulli,
    "categorical": _operator("Softmax", axis=1),
    "multinomial": _operator("Softmax", axis=1),
    **dict.fromkeys(RATES, _rates),
}
