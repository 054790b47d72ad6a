#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

#include "cardiacseg/labels.h"
#include "ops/keep_largest_component.h"
#include "ops/parallel.h"
#include "ops/require.h"

namespace cardiacseg::ops {
namespace {

/// Stands round the working copy of a slice, so that no neighbor has to be looked for outside of it.
constexpr std::uint8_t kRim = kLabelCount;

/// The smallest box that holds every labelled pixel of a slice.
struct Box {
  std::size_t top;
  std::size_t left;
  std::size_t rows;
  std::size_t columns;
};

Box labelled_box(std::span<const std::uint8_t> slice, std::size_t columns) {
  const std::size_t rows = slice.size() / columns;
  std::size_t top = rows;
  std::size_t bottom = 0;
  std::size_t left = columns;
  std::size_t right = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const auto line = slice.subspan(row * columns, columns);
    const auto first = std::find_if(line.begin(), line.end(), [](std::uint8_t label) { return label > 0; });
    if (first == line.end()) continue;
    const auto last = std::find_if(line.rbegin(), line.rend(), [](std::uint8_t label) { return label > 0; });
    top = std::min(top, row);
    bottom = row + 1;
    left = std::min(left, static_cast<std::size_t>(first - line.begin()));
    right = std::max(right, static_cast<std::size_t>(line.rend() - last));
  }
  return bottom == 0 ? Box{0, 0, 0, 0} : Box{top, left, bottom - top, right - left};
}

/// Cleans slices one after the other; the working memory is used anew for each.
class SliceCleaner {
 public:
  /// Takes all memory that slices of this size need, so that `clean` never fails.
  SliceCleaner(std::size_t rows, std::size_t columns) {
    labels_.reserve((rows + 2) * (columns + 2));
    seen_.reserve(labels_.capacity());
    region_.reserve(rows * columns);
    for (Region& region : largest_) region.reserve(rows * columns);
  }

  /// `slice` is `[rows, columns]`. Returns the number of pixels that changed.
  std::int64_t clean(std::span<std::uint8_t> slice, std::size_t columns) {
    const Box box = labelled_box(slice, columns);
    if (box.rows == 0) return 0;
    load(slice, columns, box);
    keep_largest();
    fill_holes();
    return store(slice, columns, box);
  }

 private:
  using Region = std::vector<std::size_t>;

  void load(std::span<const std::uint8_t> slice, std::size_t columns, const Box& box) {
    width_ = box.columns + 2;
    labels_.assign(width_ * (box.rows + 2), kRim);
    seen_.assign(labels_.size(), false);
    for (std::size_t row = 0; row < box.rows; ++row) {
      std::copy_n(&slice[(box.top + row) * columns + box.left], box.columns, &labels_[(row + 1) * width_ + 1]);
    }
  }

  std::int64_t store(std::span<std::uint8_t> slice, std::size_t columns, const Box& box) const {
    std::int64_t changed = 0;
    for (std::size_t row = 0; row < box.rows; ++row) {
      const std::uint8_t* from = &labels_[(row + 1) * width_ + 1];
      std::uint8_t* to = &slice[(box.top + row) * columns + box.left];
      for (std::size_t column = 0; column < box.columns; ++column) changed += from[column] != to[column];
      std::copy_n(from, box.columns, to);
    }
    return changed;
  }

  /// The pixel one step away; up and left wrap round, which unsigned arithmetic allows.
  std::array<std::size_t, 8> steps() const {
    return {1, width_, 0 - std::size_t{1}, 0 - width_, width_ + 1, width_ - 1, 1 - width_, 0 - width_ - 1};
  }

  /// Fills `region` with the pixels that have the label of `seed` and hang together with it through the first
  /// `neighbors` of the steps, and marks them as seen. `border` is given the label of each other neighbor.
  template <std::size_t neighbors, class Border>
  void grow(std::size_t seed, Region& region, Border&& border) {
    const std::array<std::size_t, 8> step = steps();
    const std::uint8_t label = labels_[seed];
    region.assign(1, seed);
    seen_[seed] = true;
    for (std::size_t next = 0; next < region.size(); ++next) {
      for (std::size_t direction = 0; direction < neighbors; ++direction) {
        const std::size_t pixel = region[next] + step[direction];
        if (labels_[pixel] != label) {
          border(labels_[pixel]);
        } else if (!seen_[pixel]) {
          seen_[pixel] = true;
          region.push_back(pixel);
        }
      }
    }
  }

  void set(const Region& region, std::uint8_t label) {
    for (const std::size_t pixel : region) labels_[pixel] = label;
  }

  void keep_largest() {
    for (Region& region : largest_) region.clear();
    for (std::size_t pixel = 0; pixel < labels_.size(); ++pixel) {
      const std::uint8_t label = labels_[pixel];
      if (label == 0 || label == kRim || seen_[pixel]) continue;
      grow<8>(pixel, region_, [](std::uint8_t) {});
      Region& largest = largest_[label - 1U];
      if (region_.size() > largest.size()) std::swap(region_, largest);
      set(region_, 0);
    }
  }

  void fill_holes() {
    std::fill(seen_.begin(), seen_.end(), false);
    for (std::size_t pixel = 0; pixel < labels_.size(); ++pixel) {
      if (labels_[pixel] != 0 || seen_[pixel]) continue;
      std::array<std::size_t, kLabelCount + 1> border{};
      grow<4>(pixel, region_, [&border](std::uint8_t label) { ++border[label]; });
      if (border[kRim] > 0) continue;
      const auto most = std::max_element(border.begin(), border.end());
      set(region_, static_cast<std::uint8_t>(most - border.begin()));
    }
  }

  std::size_t width_ = 0;
  std::vector<std::uint8_t> labels_;
  std::vector<std::uint8_t> seen_;
  Region region_;
  std::array<Region, kStructureCount> largest_;
};

void require_labels(std::span<const std::uint8_t> labels) {
  const std::uint8_t highest = *std::max_element(labels.begin(), labels.end());
  if (highest >= kLabelCount) {
    throw std::invalid_argument("labels of keep_largest_component: expected 0 to 3, got " + std::to_string(highest));
  }
}

}  // namespace

std::int64_t keep_largest_component(std::span<std::uint8_t> labels, std::int64_t slices, std::int64_t rows,
                                    std::int64_t columns, int threads) {
  require_size("labels of keep_largest_component", labels.size(), {slices, rows, columns});
  require_labels(labels);
  const auto height = static_cast<std::size_t>(rows);
  const auto width = static_cast<std::size_t>(columns);
  const std::int64_t parts = part_count(slices, threads);
  std::vector<SliceCleaner> cleaners;
  cleaners.reserve(static_cast<std::size_t>(parts));
  for (std::int64_t part = 0; part < parts; ++part) cleaners.emplace_back(height, width);
  std::atomic<std::int64_t> changed = 0;
  parallel_for(parts, static_cast<int>(parts), [&](std::int64_t part, std::int64_t) {
    for (std::int64_t slice = slices * part / parts; slice < slices * (part + 1) / parts; ++slice) {
      const auto plane = labels.subspan(static_cast<std::size_t>(slice) * height * width, height * width);
      changed += cleaners[static_cast<std::size_t>(part)].clean(plane, width);
    }
  });
  return changed;
}

}  // namespace cardiacseg::ops
