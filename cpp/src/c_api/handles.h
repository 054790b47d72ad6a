#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "c_api/call.h"

namespace cardiacseg::c_api {

/// Objects that callers know by a handle. A handle is a number that is never given again, so that one that was
/// destroyed is told from one that is alive.
template <typename Object, typename Handle>
class Handles {
 public:
  explicit Handles(const char* name) : name_(name) {}

  Handle* add(std::shared_ptr<Object> object) {
    const std::lock_guard lock(mutex_);
    next_ += kStep;
    objects_[next_] = std::move(object);
    return reinterpret_cast<Handle*>(next_);
  }

  /// Throws Failure(CSG_INVALID_HANDLE).
  std::shared_ptr<Object> get(const Handle* handle) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<std::uintptr_t>(handle));
    if (found == objects_.end()) throw invalid();
    return found->second;
  }

  /// The object, which its last user frees.
  std::shared_ptr<Object> remove(const Handle* handle) {
    const std::lock_guard lock(mutex_);
    auto node = objects_.extract(reinterpret_cast<std::uintptr_t>(handle));
    if (node.empty()) throw invalid();
    return std::move(node.mapped());
  }

 private:
  static constexpr std::uintptr_t kStep = 16;

  Failure invalid() const {
    return {CSG_INVALID_HANDLE, std::string(name_) + ": this handle was never made, or it was destroyed"};
  }

  const char* name_;
  mutable std::mutex mutex_;
  std::map<std::uintptr_t, std::shared_ptr<Object>> objects_;
  std::uintptr_t next_ = 0;
};

}  // namespace cardiacseg::c_api
