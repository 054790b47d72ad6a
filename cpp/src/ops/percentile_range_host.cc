#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <vector>

#include "ops/lines.h"
#include "ops/parallel.h"
#include "ops/percentile_range.h"
#include "ops/percentile_ranks.h"
#include "ops/pixel_keys.h"
#include "ops/require.h"

namespace cardiacseg::ops {
namespace {

using Counts = std::vector<std::uint32_t>;

constexpr std::size_t kHalf = 65536;      ///< keys of 16 bits
constexpr std::int64_t kPiece = 1 << 19;  ///< pixels that are worth a thread
constexpr std::size_t kNone = std::size_t{0} - 1;

/// Pixels at `at`, `at` + `step`, ...
struct Run {
  const unsigned char* at;
  std::int64_t step;
  std::int64_t count;
};

/// Calls `visit` for the runs that make up pixels `begin` to `end` of a stack.
template <class Visit>
void for_runs(const Lines& lines, std::int64_t begin, std::int64_t end, const Visit& visit) {
  while (begin < end) {
    const std::int64_t from = begin % lines.length;
    const std::int64_t count = std::min(end - begin, lines.length - from);
    visit(Run{lines.line(begin / lines.length) + from * lines.step, lines.step, count});
    begin += count;
  }
}

template <class Pixel, class Bin>
void count_run(const Run& run, const Bin& bin, std::uint32_t* table) {
  for (std::int64_t i = 0; i < run.count; ++i) {
    Pixel pixel;
    std::memcpy(&pixel, run.at + i * run.step, sizeof pixel);
    const std::size_t place = bin(PixelKeys<Pixel>::key(pixel));
    if (place != kNone) ++table[place];
  }
}

/// How often each of `bins` comes in a stack; pixels whose bin is kNone are left out.
template <class Pixel, class Bin>
Counts histogram(const Lines& lines, int threads, std::size_t bins, const Bin& bin) {
  const std::int64_t voxels = lines.outer * lines.inner * lines.length;
  const std::int64_t parts = part_count(std::max<std::int64_t>(1, voxels / kPiece), threads);
  Counts tables(static_cast<std::size_t>(parts) * bins);
  parallel_for(parts, static_cast<int>(parts), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      std::uint32_t* table = &tables[static_cast<std::size_t>(part) * bins];
      for_runs(lines, voxels * part / parts, voxels * (part + 1) / parts,
               [&](const Run& run) { count_run<Pixel>(run, bin, table); });
    }
  });
  for (std::size_t table = bins; table < tables.size(); table += bins) {
    for (std::size_t place = 0; place < bins; ++place) tables[place] += tables[table + place];
  }
  tables.resize(bins);
  return tables;
}

/// Position of a rank in a histogram.
struct Place {
  std::uint32_t bin;
  std::uint32_t rest;  ///< its rank among the values of the bin
};

Place find(std::span<const std::uint32_t> counts, std::uint32_t rank) {
  std::uint32_t bin = 0;
  while (rank >= counts[bin]) rank -= counts[bin++];
  return {bin, rank};
}

/// Finds a stack's values by rank.
template <class Pixel>
class Ranking {
 public:
  Ranking(const Lines& lines, int threads)
      : lines_(lines),
        threads_(threads),
        counts_(histogram<Pixel>(lines, threads, Keys::kKeys, [](std::uint32_t key) { return key >> kShift; })) {}

  bool finite() const {
    if (Keys::kShort) return true;
    const auto last = std::find_if(counts_.rbegin(), counts_.rend(), [](std::uint32_t count) { return count > 0; });
    return finite_key_half(find(counts_, 0).bin) &&
           finite_key_half(static_cast<std::uint32_t>(counts_.rend() - last - 1));
  }

  /// The values of these ranks.
  template <std::size_t Size>
  std::array<float, Size> values(const std::array<std::uint32_t, Size>& ranks) const {
    std::array<Place, Size> places;
    std::transform(ranks.begin(), ranks.end(), places.begin(),
                   [this](std::uint32_t rank) { return find(counts_, rank); });
    if (!Keys::kShort) complete(places);
    std::array<float, Size> found;
    std::transform(places.begin(), places.end(), found.begin(),
                   [](const Place& place) { return Keys::value(place.bin); });
    return found;
  }

 private:
  using Keys = PixelKeys<Pixel>;
  static constexpr unsigned kShift = Keys::kShort ? 0 : 16;

  /// From the upper halves of keys to whole ones, by another pass over the pixels.
  void complete(std::span<Place> places) const {
    std::array<std::uint32_t, 4> halves;
    halves.fill(std::numeric_limits<std::uint32_t>::max());  // no half
    std::size_t slots = 0;
    const auto slot_of = [&](std::uint32_t half) {
      return static_cast<std::size_t>(std::find(halves.begin(), halves.begin() + slots, half) - halves.begin());
    };
    for (const Place& place : places) {
      if (slot_of(place.bin) == slots) halves[slots++] = place.bin;
    }
    const Counts counts = histogram<Pixel>(lines_, threads_, slots * kHalf, [halves](std::uint32_t key) {
      std::size_t found = kNone;
      for (std::size_t slot = 0; slot < 4; ++slot) found = halves[slot] == key >> 16 ? slot : found;
      return found != kNone ? found * kHalf + (key & 0xFFFFU) : kNone;
    });
    for (Place& place : places) {
      const std::span<const std::uint32_t> lower = std::span(counts).subspan(slot_of(place.bin) * kHalf);
      place.bin = place.bin << 16 | find(lower, place.rest).bin;
    }
  }

  Lines lines_;
  int threads_;
  Counts counts_;
};

template <class Pixel>
IntensityRange range_of(const Lines& lines, const PercentileRanks& ranks, int threads) {
  const Ranking<Pixel> ranking(lines, threads);
  if (!ranking.finite()) {
    throw std::invalid_argument("percentile_range: expected finite values, got an infinite one or a NaN");
  }
  const auto [a, b, c, d] = ranking.values(std::array{ranks.rank[1], ranks.rank[2], ranks.rank[3], ranks.rank[4]});
  const IntensityRange range = range_of_values({0, a, b, c, d, 0}, ranks);
  if (range.low < range.high) return range;
  const auto [smallest, largest] = ranking.values(std::array{ranks.rank[0], ranks.rank[5]});
  return {smallest, largest};
}

}  // namespace

void percentile_range(const Pixels& pixels, double lower, double upper, int threads, std::span<IntensityRange> ranges) {
  element_count("percentile_range", {pixels.stacks, pixels.slices, pixels.rows, pixels.columns});
  require_size("ranges of percentile_range", ranges.size(), {pixels.stacks});
  const PercentileRanks ranks = percentile_ranks(pixels.slices * pixels.rows * pixels.columns, lower, upper);
  Lines lines = lines_of(pixels);
  visit_pixel_type(pixels.type, [&](auto pixel) {
    for (IntensityRange& range : ranges) {
      range = range_of<decltype(pixel)>(lines, ranks, threads);
      lines.start += pixels.stack_step;
    }
  });
}

}  // namespace cardiacseg::ops
