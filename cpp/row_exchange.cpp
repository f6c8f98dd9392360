#include "row_exchange.hpp"

#include <cstring>

namespace vaefast {

RowExchange::RowExchange(Exchange& exchange, ThreadPool& pool, Batch& batch)
    : exchange_(exchange), pool_(pool), starts_(static_cast<std::size_t>(exchange.size) + 1) {
  Posterior& q = batch.posterior;
  const int samples = batch.kind.samples;
  add(batch.reconstruction.data(), sizeof(double) * static_cast<std::size_t>(samples));
  add(q.kl.data(), sizeof(double));
  add(batch.bound.data(), sizeof(double));
  add(q.kl_terms(0), sizeof(float) * q.stride());
  figures_ = runs_.size();
  add(q.z, samples);
  for (Panels& m : batch.encoder.hidden) add(m, 1);
  for (Panels& m : batch.encoder.delta) add(m, 1);
  for (Panels& m : batch.decoder.hidden) add(m, samples);
  for (Panels& m : batch.decoder.delta) add(m, samples);
  for (Panels& m : batch.log_scale_delta)
    if (!m.empty()) add(m, samples);
  const std::size_t row_bytes = runs_.back().before + runs_.back().row_bytes;
  buffer_ = Buffer((static_cast<std::size_t>(batch.rows) * row_bytes + sizeof(float) - 1) / sizeof(float));
}

void RowExchange::add(void* data, std::size_t row_bytes) {
  const std::size_t before = runs_.empty() ? 0 : runs_.back().before + runs_.back().row_bytes;
  runs_.push_back({static_cast<std::byte*>(data), row_bytes, before});
}

void RowExchange::add(Panels& panels, int rows_per_row) {
  for (int panel = 0; panel < panels.count(); ++panel)
    add(panels.at(panel, 0), sizeof(float) * NR * static_cast<std::size_t>(rows_per_row));
}

void RowExchange::gather(int count, std::size_t from, std::size_t to) {
  constexpr double BYTES_PER_THREAD = 1 << 18;
  if (from == to) return;
  const std::size_t row_bytes = runs_[to - 1].before + runs_[to - 1].row_bytes - runs_[from].before;
  auto* const buffer = reinterpret_cast<std::byte*>(buffer_.data());
  for (std::size_t rank = 0; rank < starts_.size(); ++rank)
    starts_[rank] = begin(count, static_cast<int>(rank)) * static_cast<std::int64_t>(row_bytes);
  // Calls f(data of a run, its place in the buffer, bytes) for the rows of one process.
  const auto for_rows_of = [&](int rank, const Run& run, auto&& f) {
    const auto first = static_cast<std::size_t>(begin(count, rank));
    const auto rows = static_cast<std::size_t>(begin(count, rank + 1)) - first;
    f(run.data + first * run.row_bytes,
      buffer + starts_[static_cast<std::size_t>(rank)] + rows * (run.before - runs_[from].before),
      rows * run.row_bytes);
  };
  const auto for_runs = [&](std::size_t bytes, auto&& f) {
    const auto n = static_cast<std::int64_t>(to - from);
    const int threads = pool_.threads_for(static_cast<double>(bytes), n, {pool_.size(), BYTES_PER_THREAD});
    pool_.run(threads, [&](int thread) {
      for (auto i = part_begin(n, thread, threads); i < part_begin(n, thread + 1, threads); ++i)
        f(runs_[from + static_cast<std::size_t>(i)]);
    });
  };
  for_runs(static_cast<std::size_t>(last(count) - first(count)) * row_bytes, [&](const Run& run) {
    for_rows_of(exchange_.rank, run,
                [](std::byte* data, std::byte* at, std::size_t bytes) { std::memcpy(at, data, bytes); });
  });
  exchange_.all_gather(buffer, starts_);
  for_runs(static_cast<std::size_t>(count) * row_bytes, [&](const Run& run) {
    for (int rank = 0; rank < exchange_.size; ++rank)
      if (rank != exchange_.rank)
        for_rows_of(rank, run, [](std::byte* data, std::byte* at, std::size_t bytes) { std::memcpy(data, at, bytes); });
  });
}

}  // namespace vaefast
