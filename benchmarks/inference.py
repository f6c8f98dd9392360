"""Inference: time of transform by rows and type of the data; of samples, scores and log p(x)."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import timing, workload
from benchmarks.nets import Net
from benchmarks.parity import ParityError
from benchmarks.peers.base import Float, Weights
from benchmarks.plan import Plan
from vaefast import VAE, _core

ROWS, QUICK_ROWS = (1, 16, 256, 4_096, 60_000), (1, 6_000)
DTYPES = ("float32", "float64", "uint8")
MAX_FLOATS = 1 << 26  # values of all rows: wide nets get fewer rows
SECONDS, QUICK_SECONDS = 0.3, 0.05  # duration of one measurement
LIKELIHOOD_SAMPLES = 5_000  # per row, as in the papers; wide nets take fewer
LIKELIHOOD_FLOPS = 4e10  # largest number of operations of one call of log_likelihood
PEAK_TERMS, LIMIT_BYTES = 1_000_000, 1 << 26  # of the measurements of the machine's limits
LIMIT_ROUNDS = 10  # of those measurements, of which the fastest counts
highest_peak: dict[int, float] = {}  # operations per second, by the number of threads
TOLERANCE = 1e-4  # largest relative difference between two libraries' codes

FOOTNOTE = """\
Median times through the estimator, including checks of the data. transform is compared with the
same encoder in NumPy and, if installed, in PyTorch (eager in inference mode, and compiled) and in
ONNX Runtime, which must return the same codes. They check nothing, and turn X into float32 first.
by: how many times as long the other library takes, median over rounds, lowest and highest. limit:
the least possible time as a share of that of transform, both from their fastest rounds. It is the
time of the operations at the machine's peak, without those on zeros of X, or of reading the weights
and X, once, from the cache or memory that holds as much, whichever is longer. log p(x): samples
that log_likelihood draws per second; 10,000 rows with 5,000 samples each are 5e7."""


def measure(
    net: Net,
    rows: int,
    *,
    threads: int,
    rounds: int,
    digits: bool = True,
    seconds: float = SECONDS,
    dtype: str = "float32",
) -> dict[str, Any]:
    """Time a model on a number of rows, and compare `transform` with other libraries.

    Samples and scores are timed for float32 only.

    Parameters
    ----------
    net : Net
        The net of the model.
    rows : int
        Number of rows, and of samples.
    threads : int
        Number of threads.
    rounds : int
        Number of rounds.
    digits : bool, default=True
        Whether nets with 784 features get digits; see `workload.make`.
    seconds : float, default=0.3
        Time of one function in one round, about.
    dtype : {"float32", "float64", "uint8"}, default="float32"
        Type of the rows. Bytes are read as x / 255.

    Raises
    ------
    ParityError
        Another library returns other codes.
    """
    work = workload.make(net, rows, digits=digits)
    X: Any = np.round(work.X * 255).astype(dtype) if dtype == "uint8" else work.X.astype(dtype)
    vae = VAE(
        latent_dim=net.latent_dim,
        hidden_layer_sizes=net.encoder,
        decoder_layer_sizes=net.decoder,
        activation=net.activation,
        n_threads=threads,
        epochs=1,
        random_state=0,
        verbose=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one step trains nothing
        vae.fit(np.full((1, net.features), 255, np.uint8) if dtype == "uint8" else X[:1])
    weights = vae.model_.weights()
    functions: dict[str, Callable[[], object]] = {"vaefast": lambda: vae.transform(X)}
    expected = vae.transform(X)
    for name, make in ENCODERS.items():
        try:
            encode = make(net, weights, threads)
        except ImportError:
            continue
        difference = float(np.linalg.norm(encode(X) - expected) / np.linalg.norm(expected))
        if not difference <= TOLERANCE:
            raise ParityError(
                f"{net}: {name} and vaefast do not return the same codes. The relative difference "
                f"is {difference:.2g}; {TOLERANCE:g} is allowed."
            )
        functions[name] = lambda encode=encode: encode(X)  # type: ignore[misc]
    others = [name for name in functions if name != "vaefast"]
    samples = 0
    if dtype == "float32":
        some = X[: 4 * threads]
        samples = _samples(net, len(some)) * len(some)
        functions["sample"] = lambda: vae.sample(rows, random_state=0)
        functions["score_samples"] = lambda: vae.score_samples(X)
        functions["log_likelihood"] = lambda: vae.log_likelihood(
            some, n_samples=samples // len(some)
        )
    times = timing.in_turns(functions, rounds=rounds, seconds=seconds)
    ratios = {name: timing.ratio(times[name], times["vaefast"]) for name in others}
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "net": str(net),
        "rows": rows,
        "dtype": dtype,
        "digits": digits,
        "threads": threads,
        "samples": samples,
        "seconds": median,
        "ratios": ratios,
        "best": min(ratio["median"] for ratio in ratios.values()),
        "share_of_limit": _limit(net, X, threads) / min(times["vaefast"]),
        "rounds": times,
    }


def run(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the results of each net, number of rows and type of the data."""
    for net in dict.fromkeys(net for net, _ in plan.cells):
        for dtype in DTYPES[: 1 if plan.quick else None]:
            for rows in QUICK_ROWS if plan.quick else ROWS:
                yield measure(
                    net,
                    min(rows, MAX_FLOATS // net.features),
                    threads=plan.threads,
                    rounds=plan.rounds,
                    digits=plan.digits,
                    seconds=QUICK_SECONDS if plan.quick else SECONDS,
                    dtype=dtype,
                )


def columns(result: dict[str, Any]) -> dict[str, str]:
    """Return one line of the table, by the titles of its columns."""

    def text(name: str) -> str:
        if name not in seconds:
            return "-"
        if seconds[name] < 1e-3:
            return f"{seconds[name] * 1e6:.1f} us"
        return f"{seconds[name] * 1e3:.1f} ms"

    seconds = result["seconds"]
    rate = result["samples"] / seconds.get("log_likelihood", 1)
    return {
        f"{'net':<42}": f"{result['net']:<42}",
        "  rows": str(result["rows"]),
        "      X": result["dtype"],
        "transform": text("vaefast"),
        "limit": f"{result['share_of_limit']:.0%}",
        **{
            f"{name} by": f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})"
            for name, ratio in result["ratios"].items()
        },
        "   sample": text("sample"),
        "score_samples": text("score_samples"),
        " log p(x)": f"{rate:,.0f}/s" if rate else "-",
    }


def _limit(net: Net, X: Any, threads: int) -> float:
    """Return the least time in seconds of the codes of X on this machine, if zeros are skipped."""
    widths = [net.features, *net.encoder, net.latent_dim]
    first, *rest = (a * b for a, b in zip(widths, widths[1:], strict=False))
    products = first * np.count_nonzero(X) / net.features + sum(rest) * len(X)
    size = 4 * (first + sum(rest)) + X.nbytes
    passes = max(1, LIMIT_BYTES // size)
    rate = 0.0
    for _ in range(LIMIT_ROUNDS):
        peak = _core.kernels.fma_rate(threads, PEAK_TERMS)
        highest_peak[threads] = max(peak, highest_peak.get(threads, 0.0))
        rate = max(rate, _core.kernels.load_rate(threads, max(1, size // 4), passes))
    return float(max(2 * products / highest_peak[threads], size / rate))


def _samples(net: Net, rows: int) -> int:
    """Return the number of samples per row for one call of log_likelihood."""
    decoder = [layer for layer in net.layers if layer[0].startswith(("decoder", "output"))]
    flops = 2 * rows * sum(fan_in * fan_out for _, fan_in, fan_out in decoder)
    return max(1, min(LIKELIHOOD_SAMPLES, int(LIKELIHOOD_FLOPS / flops)))


def _floats(x: Any) -> Float:
    """Return rows as the network reads them."""
    if x.dtype == np.uint8:
        x = x.astype(np.float32)
        x /= np.float32(255)
    floats: Float = x.astype(np.float32, copy=False)
    return floats


def _numpy(net: Net, weights: Weights, threads: int) -> Callable[[Any], Float]:
    layers = [_layer(weights, f"encoder.{i}") for i in range(len(net.encoder))]
    head = _layer(weights, "mu")

    def encode(x: Any) -> Float:
        x = _floats(x)
        for weight, bias in layers:
            x = x @ weight
            x += bias
            np.maximum(x, 0, out=x) if net.activation == "relu" else np.tanh(x, out=x)
        codes: Float = x @ head[0]
        codes += head[1]
        return codes

    return encode


def _torch_encoder(net: Net, weights: Weights, threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    modules: list[Any] = []
    for name in (*(f"encoder.{i}" for i in range(len(net.encoder))), "mu"):
        weight, bias = (torch.from_numpy(values) for values in _layer(weights, name))
        linear = torch.nn.Linear(*weight.shape)
        linear.load_state_dict({"weight": weight.T.contiguous(), "bias": bias})
        modules += [linear, torch.nn.ReLU() if net.activation == "relu" else torch.nn.Tanh()]
    return torch.nn.Sequential(*modules[:-1])


def _run_torch(encoder: Any) -> Callable[[Any], Float]:
    import torch

    def encode(x: Any) -> Float:
        with torch.inference_mode():
            rows = torch.from_numpy(x)
            if x.dtype == np.uint8:
                rows = rows.float().div_(255)
            codes: Float = encoder(rows.float()).numpy()
        return codes

    return encode


def _torch(net: Net, weights: Weights, threads: int) -> Callable[[Any], Float]:
    return _run_torch(_torch_encoder(net, weights, threads))


def _torch_compiled(net: Net, weights: Weights, threads: int) -> Callable[[Any], Float]:
    from benchmarks.peers.torch_vae import Compiled

    if reason := Compiled.unavailable():
        raise ImportError(reason)
    import torch

    torch.compiler.reset()  # drops graphs of other nets: few are kept per function
    return _run_torch(torch.compile(_torch_encoder(net, weights, threads), dynamic=False))


def _onnx(net: Net, weights: Weights, threads: int) -> Callable[[Any], Float]:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes, initializers, last = [], [], "x"
    names = [*(f"encoder.{i}" for i in range(len(net.encoder))), "mu"]
    for name in names:
        weight, bias = _layer(weights, name)
        initializers += [
            numpy_helper.from_array(np.ascontiguousarray(weight), f"{name}.weight"),
            numpy_helper.from_array(bias, f"{name}.bias"),
        ]
        nodes.append(helper.make_node("Gemm", [last, f"{name}.weight", f"{name}.bias"], [name]))
        last = name
        if name != "mu":
            activation = "Relu" if net.activation == "relu" else "Tanh"
            nodes.append(helper.make_node(activation, [last], [f"{name}.out"]))
            last = f"{name}.out"
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", net.features])],
        [helper.make_tensor_value_info("mu", TensorProto.FLOAT, ["n", net.latent_dim])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def encode(x: Any) -> Float:
        codes: Float = session.run(None, {"x": _floats(x)})[0]
        return codes

    return encode


def _layer(weights: Weights, name: str) -> tuple[Float, Float]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


ENCODERS: dict[str, Callable[[Net, Weights, int], Callable[[Any], Float]]] = {
    "NumPy": _numpy,
    "PyTorch": _torch,
    "compiled": _torch_compiled,
    "ONNX": _onnx,
}
