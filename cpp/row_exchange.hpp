// The rows of a batch among several processes. Each process takes a run of rows through the rows phase, and gathers the
// results of the others. The data itself is not exchanged, because every process reads all rows.
#pragma once

#include <vector>

#include "elbo.hpp"
#include "exchange.hpp"
#include "threads.hpp"

namespace vaefast {

class RowExchange {
 public:
  // Gathers the rows of `batch`. All arguments must outlive this object.
  RowExchange(Exchange& exchange, ThreadPool& pool, Batch& batch);

  // Returns the first row of this process in a batch of `count` rows, and the row after its last one.
  int first(int count) const { return begin(count, exchange_.rank); }
  int last(int count) const { return begin(count, exchange_.rank + 1); }

  // Gathers losses and KL terms, from which means over the batch are computed.
  void gather_figures(int count) { gather(count, 0, figures_); }
  // Gathers activations, codes and deltas, from which the weights phase starts.
  void gather_results(int count) { gather(count, figures_, runs_.size()); }
  void gather_all(int count) { gather(count, 0, runs_.size()); }

 private:
  // Numbers of consecutive rows, without gaps between the rows.
  struct Run {
    std::byte* data;
    std::size_t row_bytes;
    std::size_t before;  // bytes per row of all runs before this one
  };

  int begin(int count, int rank) const { return static_cast<int>(part_begin(count, rank, exchange_.size)); }
  void add(void* data, std::size_t row_bytes);
  void add(Panels& panels, int rows_per_row);
  void gather(int count, std::size_t from, std::size_t to);

  Exchange& exchange_;
  ThreadPool& pool_;
  std::vector<Run> runs_;
  std::size_t figures_;               // the first runs, which hold figures rather than results
  std::vector<std::int64_t> starts_;  // per process, of the current call
  Buffer buffer_;
};

}  // namespace vaefast
