#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace cardiacseg {

/// What networks were compiled to, for each input shape, within a budget of bytes that all of them share. If it is
/// exceeded, what was used longest ago goes; only the latest shape of each network stays in any case, as one run needs
/// those of all. What a run holds lives until it ends. `Compiled` is made by its default constructor.
template <class Compiled>
class RecentShapes {
 public:
  using Shape = std::vector<std::int64_t>;

  explicit RecentShapes(std::int64_t budget) : budget_(budget) {}

  /// What `network` has for `shape`, made if there is none, and now the latest used.
  std::shared_ptr<Compiled> recall(const void* network, const Shape& shape) {
    const std::lock_guard lock(mutex_);
    const auto known = find(network, shape);
    if (known != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, known);
    } else {
      entries_.push_front({network, shape, 0, std::make_shared<Compiled>()});
    }
    return entries_.front().compiled;
  }

  /// The same without a change: nullptr if there is none.
  std::shared_ptr<Compiled> peek(const void* network, const Shape& shape) {
    const std::lock_guard lock(mutex_);
    const auto known = find(network, shape);
    return known == entries_.end() ? nullptr : known->compiled;
  }

  /// Says that `compiled` will take `bytes`, and lets others go for it.
  void make_room(const Compiled& compiled, std::int64_t bytes) {
    std::vector<std::shared_ptr<Compiled>> gone;  // goes after the lock
    const std::lock_guard lock(mutex_);
    std::int64_t total = 0;
    for (Entry& entry : entries_) {
      if (entry.compiled.get() == &compiled) entry.bytes = bytes;
      total += entry.bytes;
    }
    for (auto entry = entries_.end(); total > budget_ && entry != entries_.begin();) {
      --entry;
      if (entry->bytes == 0 || is_latest(entry)) continue;
      total -= entry->bytes;
      gone.push_back(std::move(entry->compiled));
      entry = entries_.erase(entry);
    }
  }

  /// Lets go what `network` has.
  void forget(const void* network) {
    std::list<Entry> gone;
    const std::lock_guard lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const auto here = entry++;
      if (here->network == network) gone.splice(gone.end(), entries_, here);
    }
  }

 private:
  struct Entry {
    const void* network;
    Shape shape;
    std::int64_t bytes;  ///< 0 until they are known
    std::shared_ptr<Compiled> compiled;
  };
  using Place = typename std::list<Entry>::iterator;

  Place find(const void* network, const Shape& shape) {
    return std::find_if(entries_.begin(), entries_.end(),
                        [&](const Entry& entry) { return entry.network == network && entry.shape == shape; });
  }

  bool is_latest(Place place) {
    return std::none_of(entries_.begin(), place, [&](const Entry& entry) { return entry.network == place->network; });
  }

  std::int64_t budget_;
  std::mutex mutex_;
  std::list<Entry> entries_;  ///< the latest used first
};

}  // namespace cardiacseg
