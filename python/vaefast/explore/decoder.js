// The content of the page, and the decoder: a chain of dense layers on typed arrays.

const model = JSON.parse(document.getElementById("model").textContent);

// Plain loops and a table, because a decoder of photographs has ten million weights.
function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < out.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

function float16(bits) {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let halves; // all numbers of float16, by their bits

// Typed arrays are little-endian in every browser, as the packed numbers are.
function floats({ type, base64 }) {
  const { buffer } = bytes(base64);
  if (type !== "float16") return new Float32Array(buffer);
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => float16(bits));
  const packed = new Uint16Array(buffer), out = new Float32Array(packed.length);
  for (let i = 0; i < out.length; i++) out[i] = halves[packed[i]];
  return out;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// Abramowitz & Stegun 7.1.26; the absolute error is at most 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741
    + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

// Activations of the hidden layers, and functions that turn the decoder's output into E[x|z].
const functions = {
  relu: (x) => Math.max(x, 0),
  tanh: Math.tanh,
  sigmoid,
  elu: (x) => (x < 0 ? Math.expm1(x) : x),
  leaky_relu: (x) => (x > 0 ? x : 0.01 * x),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  silu: (x) => x * sigmoid(x),
  identity: (x) => x,
  exp: Math.exp,
  continuous_bernoulli: (x) => (Math.abs(x) < 0.1 ? 0.5 + x / 12 - x ** 3 / 720
    : 1 / (1 - Math.exp(-x)) - 1 / x),
};

// Computes out = x weight + bias, where weight is (inputs, outputs), row-major.
function product({ inputs, outputs, weight, bias, out }, x) {
  out.set(bias);
  for (let i = 0; i < inputs; i++) {
    const factor = x[i], row = i * outputs;
    if (factor === 0) continue; // relu makes many zeros
    for (let j = 0; j < outputs; j++) out[j] += factor * weight[row + j];
  }
}

function makeDecoder({ sizes, weights, activation, mean }) {
  const all = floats(weights);
  const layers = [];
  let at = 0;
  for (let i = 0; i + 1 < sizes.length; i++) {
    const inputs = sizes[i], outputs = sizes[i + 1];
    const weight = all.subarray(at, at += inputs * outputs);
    const bias = all.subarray(at, at += outputs);
    const apply = functions[i + 2 < sizes.length ? activation : mean];
    layers.push({ inputs, outputs, weight, bias, apply, out: new Float32Array(outputs) });
  }
  // The result is valid until the next call.
  return (code) => layers.reduce((x, layer) => {
    product(layer, x);
    const { out, apply } = layer;
    for (let j = 0; j < out.length; j++) out[j] = apply(out[j]);
    return out;
  }, code);
}

const decode = makeDecoder(model.decoder);

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
// Codes that vaefast drew: most are like those of the rows of the fit, which the prior alone is not.
const draws = floats(model.draws);
function randomCode() {
  const at = Math.floor(Math.random() * (draws.length / model.latent_dim)) * model.latent_dim;
  return draws.slice(at, at + model.latent_dim);
}
const mix = (a, b, share) => a.map((value, i) => value + share * (b[i] - value));
