// Likelihoods: log p(x | z) of each feature, given the decoder's output. To add one, write its struct and add an entry
// to `likelihoods`.
#pragma once

#include <cmath>

#include "blocks.hpp"
#include "panels.hpp"
#include "special.hpp"

namespace vaefast {

// A block of the decoder's output, and the arrays that a likelihood reads and writes with it. The block has `panels`
// panels, panel_stride floats apart, of `rows` rows of NR floats. Several output rows, the samples of z, may belong to
// one row of the data.
struct LikelihoodBlock {
  float* out = nullptr;  // decoder output; overwritten, by d nll / d output if `gradients`
  bool gradients = true;
  const int* data_row = nullptr;        // (rows): the row of x, mask and log_exposure for each output row
  const float* x = nullptr;             // data, in panels that are data_stride floats apart
  const float* mask = nullptr;          // laid out like x: 0 for padding and missing values, otherwise 1
  bool shared_mask = false;             // the mask has a single row, which applies to all rows
  const float* log_scale = nullptr;     // (columns): log scale of each feature; null if there is no scale
  float* log_scale_delta = nullptr;     // receives d nll / d log_scale; null if the scale is not trained
  const float* log_exposure = nullptr;  // per row of the data; null means 0
  double* nll = nullptr;                // (rows): -log p(x | z) of the block is added to it
  float* terms = nullptr;               // receives -log p(x | z) of each feature; null if not needed
  int rows = 0, panels = 1;
  std::size_t panel_stride = 0, data_stride = 0;
  // Student t: degrees of freedom, and log gamma(df / 2) - log gamma((df + 1) / 2) + log(df pi) / 2
  float df = 0, df_constant = 0;

  const float* x_of(int panel, int row) const { return x + panel * data_stride + static_cast<std::size_t>(row * NR); }
  const float* mask_of(int panel, int row) const {
    return shared_mask ? mask + panel * NR : mask + panel * data_stride + static_cast<std::size_t>(row * NR);
  }
};

struct Likelihood {
  const char* name;
  const char* scale;    // name of the log-scale tensor; null if there is none
  float largest_scale;  // upper limit of a trained log scale
  bool joins_columns;   // needs all columns of a row at once
  bool counts;          // x holds counts: the encoder reads log(1 + x)
  void (*evaluate)(const LikelihoodBlock& block);
  void (*mean)(const LikelihoodBlock& block);  // replaces out by E[x | z]; does not read x
};

namespace likelihood {
using namespace simd;

inline constexpr float half_log_2pi = 0.918938533f;

// -log p(x) of W features, and its derivatives with respect to the decoder's output and to the log scale.
struct Terms {
  Packet nll, d_out, d_log_scale = zero();
};

// Parameters of W features, besides x and the decoder's output.
struct Features {
  Packet log_scale;
  float df, df_constant;
};

// output = logit l: nll = max(l, 0) - l x + log1p(exp(-|l|)), d = sigmoid(l) - x
struct Bernoulli {
  static constexpr bool counts = false;
  explicit Bernoulli(const Features&) {}
  Terms operator()(Packet l, Packet x) const {
    const Packet e = exp_negative(abs(l)), s = reciprocal(add(set(1.f), e));
    return {.nll = add(sub(max(l, zero()), mul(l, x)), log1p_unit(e)),
            .d_out = sub(select(less(l, zero()), mul(e, s), s), x)};
  }
  static Packet mean(Packet l) { return sigmoid(l); }
};

// output = natural parameter l of the density exp(l x - A(l)) on [0, 1], A(l) = log((exp(l) - 1) / l)
// (Loaiza-Ganem & Cunningham 2019): nll = A(l) - l x, d = A'(l) - x, where A'(l) is the mean. Near l = 0, A and A' are
// computed by series.
struct ContinuousBernoulli {
  static constexpr bool counts = false;
  explicit ContinuousBernoulli(const Features&) {}
  Terms operator()(Packet l, Packet x) const {
    const Packet size = abs(l), square = mul(l, l), near = less(size, set(0.5f));
    // A(l) - l / 2 = log(2 sinh(l / 2) / l) is even
    const Packet safe = max(size, set(0.5f));
    const Packet far_value = add(mul(set(0.5f), safe), log(mul(sub(set(1.f), exp(neg(safe))), reciprocal(safe))));
    const Packet series = fma(square, fma(square, set(1.f / 181440), set(-1.f / 2880)), set(1.f / 24));
    const Packet even = select(near, mul(square, series), far_value);
    return {.nll = fma(l, sub(set(0.5f), x), even), .d_out = sub(mean(l), x)};
  }
  static Packet mean(Packet l) {  // A'(l) = 1 / (1 - exp(-l)) - 1 / l; A'(l) - 1/2 is odd
    const Packet size = abs(l), square = mul(l, l), near = less(size, set(0.5f)), safe = max(size, set(0.5f));
    const Packet series = fma(square, fma(square, set(1.f / 30240), set(-1.f / 720)), set(1.f / 12));
    const Packet far_value = sub(sub(reciprocal(sub(set(1.f), exp(neg(safe)))), reciprocal(safe)), set(0.5f));
    const Packet odd = select(near, mul(size, series), far_value);
    return add(set(0.5f), select(less(l, zero()), neg(odd), odd));
  }
};

// output = mean m: with r = (x - m) / sigma, nll = r^2 / 2 + log sigma + log(2 pi) / 2,
// d = -r / sigma, d / d log sigma = 1 - r^2
struct Gaussian {
  static constexpr bool counts = false;
  explicit Gaussian(const Features& f)
      : precision(exp(neg(f.log_scale))), constant(add(f.log_scale, set(half_log_2pi))) {}
  Terms operator()(Packet m, Packet x) const {
    const Packet residual = mul(sub(x, m), precision), square = mul(residual, residual);
    return {fma(set(0.5f), square, constant), neg(mul(residual, precision)), sub(set(1.f), square)};
  }
  static Packet mean(Packet m) { return m; }
  Packet precision, constant;
};

// output = median m: with r = |x - m| / b, nll = r + log(2 b), d = -sign(x - m) / b, d / d log b = 1 - r
struct Laplace {
  static constexpr bool counts = false;
  explicit Laplace(const Features& f)
      : precision(exp(neg(f.log_scale))), constant(add(f.log_scale, set(0.693147181f))) {}
  Terms operator()(Packet m, Packet x) const {
    const Packet residual = sub(x, m), size = mul(abs(residual), precision);
    const Packet away = select(less(residual, zero()), precision, neg(precision));
    return {add(size, constant), select(less(zero(), size), away, zero()), sub(set(1.f), size)};
  }
  static Packet mean(Packet m) { return m; }
  Packet precision, constant;
};

// output = location m: with r = (x - m) / scale and df degrees of freedom,
// nll = constant + log scale + (df + 1) / 2 log1p(r^2 / df), d = -(df + 1) r / (df + r^2) / scale,
// d / d log scale = 1 - (df + 1) r^2 / (df + r^2)
struct StudentT {
  static constexpr bool counts = false;
  explicit StudentT(const Features& f)
      : precision(exp(neg(f.log_scale))), constant(add(f.log_scale, set(f.df_constant))), df(f.df) {}
  Terms operator()(Packet m, Packet x) const {
    const Packet residual = mul(sub(x, m), precision), square = mul(residual, residual);
    const Packet weight = mul(set(df + 1), reciprocal(min(add(set(df), square), set(largest))));
    return {fma(set(0.5f * (df + 1)), special::log1p(mul(square, set(1 / df))), constant),
            neg(mul(mul(weight, residual), precision)), sub(set(1.f), mul(weight, square))};
  }
  static Packet mean(Packet m) { return m; }
  Packet precision, constant;
  float df;
};

// output = log rate l: nll = exp(l) - x l + log x!, in Loader's form (special.hpp), d = exp(l) - x
struct Poisson {
  static constexpr bool counts = true;
  explicit Poisson(const Features&) {}
  Terms operator()(Packet l, Packet x) const {
    const Packet rate = exp(l), log_x = log(x);
    const Packet nll = add(add(special::stirling_error(x), special::deviance(x, sub(l, log_x))),
                           fma(set(0.5f), log_x, set(half_log_2pi)));
    return {.nll = select(less(zero(), x), nll, rate), .d_out = sub(rate, x)};
  }
  Terms at_zero(Packet l) const { return {.nll = exp(l), .d_out = exp(l)}; }
  static Packet mean(Packet l) { return exp(l); }
};

// output = log mean l, m = exp(l), scale r = dispersion; the variance is m + m^2 / r.
// nll = -log gamma(x + r) + log gamma(r) + log x! - r log(r / (r + m)) - x log(m / (r + m)), in Loader's form,
// d = (m - x) r / (r + m), d / d log r = -r (digamma(x + r) - digamma(r) + log(r / (r + m)) + (m - x) / (r + m))
struct NegativeBinomial {
  static constexpr bool counts = true;
  explicit NegativeBinomial(const Features& f)
      : log_r(f.log_scale), r(exp(f.log_scale)), error(special::stirling_error(r)) {}
  Terms operator()(Packet l, Packet x) const {
    const Packet m = exp(l), inverse = reciprocal(min(add(r, m), set(largest))), n = add(x, r);
    const Packet excess = mul(sub(m, x), inverse), p = special::log1p(mul(m, exp(neg(log_r))));
    const Packet log_x = log(x), log_n = log(n), growth = log(mul(n, inverse));
    const Packet errors = sub(add(error, special::stirling_error(x)), special::stirling_error(n));
    const Packet deviances = add(special::deviance(r, growth), special::deviance(x, add(sub(l, log_x), growth)));
    const Packet constant = fma(set(0.5f), sub(add(log_n, log_x), log_r), set(half_log_2pi));
    return {select(less(zero(), x), add(add(errors, deviances), constant), mul(r, p)), mul(excess, r),
            neg(mul(r, add(sub(special::digamma_difference(r, x), p), excess)))};
  }
  Terms at_zero(Packet l) const {
    const Packet m = exp(l), excess = mul(m, reciprocal(min(add(r, m), set(largest))));
    const Packet p = special::log1p(mul(m, exp(neg(log_r))));
    return {mul(r, p), mul(excess, r), neg(mul(r, sub(excess, p)))};
  }
  static Packet mean(Packet l) { return exp(l); }
  Packet log_r, r, error;
};

// Likelihoods of counts have the method at_zero(output), because most counts are 0 and need less computation.
template <class L>
inline Terms evaluate_packet(const L& likelihood, Packet output, const float* x) {
  if constexpr (L::counts)
    if (!nonzero_bits(x)) return likelihood.at_zero(output);
  return likelihood(output, load(x));
}

// Evaluates MR rows at a time: first all their features, so that no feature waits for a reduction, then the sums of the
// rows.
template <class L, bool GRADIENTS>
void evaluate_block(const LikelihoodBlock& b) {
  alignas(64) float scratch[MR * NR];
  for (int panel = 0; panel < b.panels; ++panel) {
    const auto features = [&](int c) {
      return L({b.log_scale ? load(b.log_scale + panel * NR + c) : zero(), b.df, b.df_constant});
    };
    const L halves[] = {features(0), features(W)};
    for (int first = 0; first < b.rows; first += MR) {
      const std::size_t start = panel * b.panel_stride + static_cast<std::size_t>(first) * NR;
      float *out = b.out + start, *feature_nll = b.terms ? b.terms + start : scratch;
      float* log_scale_delta = GRADIENTS && b.log_scale_delta ? b.log_scale_delta + start : nullptr;
      const float* log_exposure = L::counts ? b.log_exposure : nullptr;
      const int rows = std::min(MR, b.rows - first);
      for (int r = 0; r < rows; ++r) {
        const int row = b.data_row[first + r];
        const float *x = b.x_of(panel, row), *mask = b.mask_of(panel, row);
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
          const int at = r * NR + half * W;
          const Packet known = less(zero(), load(mask + half * W));
          Packet output = load(out + at);
          if (log_exposure) output = add(output, set(log_exposure[row]));
          const Terms terms = evaluate_packet(halves[half], output, x + half * W);
          store(feature_nll + at, select(known, terms.nll, zero()));
          if constexpr (GRADIENTS) store(out + at, select(known, terms.d_out, zero()));
          if (log_scale_delta) store(log_scale_delta + at, select(known, terms.d_log_scale, zero()));
        }
      }
      for (int r = 0; r < rows; ++r)
        b.nll[first + r] +=
            static_cast<double>(simd::sum_in_float(add(load(feature_nll + r * NR), load(feature_nll + r * NR + W))));
    }
  }
}

template <class L>
void evaluate(const LikelihoodBlock& b) {
  b.gradients ? evaluate_block<L, true>(b) : evaluate_block<L, false>(b);
}

template <class L>
void mean(const LikelihoodBlock& b) {
  for (int panel = 0; panel < b.panels; ++panel) {
    float* out = b.out + panel * b.panel_stride;
    for (int i = 0; i < b.rows * NR; i += W) store(out + i, L::mean(load(out + i)));
  }
}

// outputs = logits of the columns, x = one-hot, or all 0 if the value is missing:
// nll = log sum exp(out) - out[x], d = softmax(out) - x
struct Categorical {
  // Calls f(offset of W outputs, their x, their mask) for each packet of one row.
  template <class F>
  static void for_row(const LikelihoodBlock& b, int row, F&& f) {
    const int data_row = b.data_row[row];
    for (int panel = 0; panel < b.panels; ++panel)
      for (int c = 0; c < NR; c += W)
        f(panel * b.panel_stride + row * NR + c, b.x_of(panel, data_row) + c, b.mask_of(panel, data_row) + c);
  }
  // Returns the sum of x.
  static float total(const LikelihoodBlock& b, int row) {
    Packet sums = zero();
    for_row(b, row, [&](std::size_t, const float* data, const float* mask) {
      sums = add(sums, select(less(zero(), load(mask)), load(data), zero()));
    });
    return static_cast<float>(simd::sum(sums));
  }
  // Sets value and slopes to 0, for a missing value.
  static void clear(const LikelihoodBlock& b, int row) {
    for_row(b, row, [&](std::size_t at, const float*, const float*) {
      store(b.out + at, zero());
      if (b.terms) store(b.terms + at, zero());
    });
  }
  static float largest_logit(const LikelihoodBlock& b, int row) {
    Packet top = set(-largest);
    for_row(b, row, [&](std::size_t at, const float*, const float* mask) {
      top = max(top, select(less(zero(), load(mask)), load(b.out + at), set(-largest)));
    });
    return simd::greatest(top);
  }
  // Replaces each logit by exp(logit - largest logit), and the padding by 0. Returns the sum of these values, and the
  // log of the sum of the logits' exponentials.
  struct Sum {
    float sum, log;
  };
  static Sum exponentials(const LikelihoodBlock& b, int row) {
    const float greatest = largest_logit(b, row);
    Packet sums = zero();
    for_row(b, row, [&](std::size_t at, const float*, const float* mask) {
      const Packet e = exp(sub(load(b.out + at), set(greatest)));
      store(b.out + at, select(less(zero(), load(mask)), e, zero()));
      sums = add(sums, load(b.out + at));
    });
    const auto sum = static_cast<float>(simd::sum(sums));
    return {sum, greatest + std::log(sum)};
  }
  static void evaluate(const LikelihoodBlock& b) {
    for (int row = 0; row < b.rows; ++row) {
      const float weight = total(b, row);
      if (weight == 0) {
        clear(b, row);
        continue;
      }
      Packet chosen = zero();
      for_row(b, row, [&](std::size_t at, const float* data, const float* mask) {
        const Packet x = select(less(zero(), load(mask)), load(data), zero());
        chosen = select(less(zero(), x), fma(x, load(b.out + at), chosen), chosen);
      });
      const Sum total = exponentials(b, row);
      const double nll = weight * total.log - simd::sum(chosen);
      b.nll[row] += nll;
      for_row(b, row, [&](std::size_t at, const float* data, const float* mask) {
        const Packet x = select(less(zero(), load(mask)), load(data), zero());
        store(b.out + at, sub(mul(set(weight / total.sum), load(b.out + at)), x));
        if (b.terms) store(b.terms + at, mul(x, set(static_cast<float>(nll))));  // attributed to the category's column
      });
    }
  }
  static void mean(const LikelihoodBlock& b) {
    for (int row = 0; row < b.rows; ++row) {
      const float scale = 1 / exponentials(b, row).sum;
      for_row(b, row, [&](std::size_t at, const float*, const float*) {
        store(b.out + at, mul(set(scale), load(b.out + at)));
      });
    }
  }
};

// outputs = logits of the columns, p = softmax(out), x = counts that add up to n. The multinomial is the product of the
// Poissons of x with rates n p, divided by the Poisson of n with rate n: nll = sum poisson(log(n p), x) - poisson(log
// n, n), d = n p - x. No term is large where p fits x, so float32 loses no digits.
struct Multinomial {
  static void evaluate(const LikelihoodBlock& b) {
    const Poisson poisson(Features{});
    for (int row = 0; row < b.rows; ++row) {
      const float n = Categorical::total(b, row);
      if (n == 0) {
        Categorical::clear(b, row);
        continue;
      }
      const float greatest = Categorical::largest_logit(b, row), log_n = std::log(n);
      Packet sums = zero();
      Categorical::for_row(b, row, [&](std::size_t at, const float* data, const float* mask) {
        const Packet e = select(less(zero(), load(mask)), exp(sub(load(b.out + at), set(greatest))), zero());
        sums = add(sums, e);
        if (!nonzero_bits(data)) store(b.out + at, e);  // most packets of most rows: no second exponential
      });
      const auto sum = static_cast<float>(simd::sum(sums));
      const Packet shift = set(log_n - (greatest + std::log(sum))), scale = set(n / sum);
      const float of_total = simd::greatest(poisson(set(log_n), set(n)).nll);
      double nll = -static_cast<double>(of_total);
      Categorical::for_row(b, row, [&](std::size_t at, const float* data, const float* mask) {
        const Packet known = less(zero(), load(mask)), x = select(known, load(data), zero());
        Terms terms;
        if (nonzero_bits(data))
          terms = poisson(add(load(b.out + at), shift), x);
        else
          terms.nll = terms.d_out = mul(scale, load(b.out + at));  // the rate
        nll += static_cast<double>(sum_in_float(select(known, terms.nll, zero())));
        store(b.out + at, select(known, terms.d_out, zero()));
        if (b.terms)  // n counts share the term of the total
          store(b.terms + at, select(known, sub(terms.nll, mul(x, set(of_total / n))), zero()));
      });
      b.nll[row] += nll;
    }
  }
};

template <class L>
constexpr Likelihood featurewise(const char* name, const char* scale = nullptr, float largest_scale = 14) {
  return {name, scale, largest_scale, false, L::counts, evaluate<L>, mean<L>};
}

}  // namespace likelihood

inline constexpr Likelihood likelihoods[] = {
    likelihood::featurewise<likelihood::Bernoulli>("bernoulli"),
    likelihood::featurewise<likelihood::ContinuousBernoulli>("continuous_bernoulli"),
    likelihood::featurewise<likelihood::Gaussian>("gaussian", "log_sigma"),
    likelihood::featurewise<likelihood::Laplace>("laplace", "log_scale"),
    likelihood::featurewise<likelihood::StudentT>("student_t", "log_scale"),
    likelihood::featurewise<likelihood::Poisson>("poisson"),
    likelihood::featurewise<likelihood::NegativeBinomial>("negative_binomial", "log_dispersion", 7),
    {"categorical", nullptr, 0, true, false, likelihood::Categorical::evaluate, likelihood::Categorical::mean},
    {"multinomial", nullptr, 0, true, true, likelihood::Multinomial::evaluate, likelihood::Categorical::mean},
};

}  // namespace vaefast
