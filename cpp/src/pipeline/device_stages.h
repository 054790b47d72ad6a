#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "pipeline/check_parity.h"

namespace cardiacseg {

/// The networks of a bundle on the GPU, and the manifest's numbers.
struct DeviceStages {
  Manifest manifest;
  std::unique_ptr<const DeviceNetwork> locate;  ///< absent: the crop is the middle of the image
  std::unique_ptr<const DeviceNetwork> seg;
  std::unique_ptr<const DeviceNetwork> ref;  ///< absent: a single-stage model

  /// Those that are there.
  std::vector<const DeviceNetwork*> networks() const;

  /// The same for the parity gate.
  std::vector<TestedNetwork> tested() const;

  /// Whether presence comes from a classifier; if both stages have one, from Ref's.
  bool classify() const { return classifies(*seg) || (ref && classifies(*ref)); }

  /// Stacks that go through all of them in one call at most.
  std::int64_t max_frames() const;

  bool verified() const;
  void mark_verified() const;

 private:
  static bool classifies(const DeviceNetwork& network) { return network.outputs().size() == 2; }
};

/// Throws what `backend` throws, and Error(bad_bundle) for outputs of other names.
DeviceStages load_device_stages(const Bundle& bundle, const DeviceBackend& backend);

}  // namespace cardiacseg
