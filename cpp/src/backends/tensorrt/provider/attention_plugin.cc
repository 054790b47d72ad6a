#include "backends/tensorrt/provider/attention_plugin.h"

#include "backends/tensorrt/provider/library.h"
#include "backends/tensorrt/provider/logger.h"

namespace cardiacseg::tensorrt {
namespace {

/// Plugins may outlive whoever asked for them, so their creator is never destroyed.
AttentionPluginCreator& creator() {
  static AttentionPluginCreator& instance = *new AttentionPluginCreator;
  return instance;
}

void add_to(nvinfer1::IPluginRegistry& registry) {
  const Attempt attempt("does not take the plugin " + std::string(creator().getPluginName()));
  attempt.expect(registry.registerCreator(creator(), creator().getPluginNamespace()));
}

/// Before 8.6 there is one registry for all.
template <class Owner>
void add_to_registry_of([[maybe_unused]] Owner& owner) {
#if CARDIACSEG_TENSORRT_API >= 806
  add_to(owner.getPluginRegistry());
#else
  static const bool once = (add_to(*inference_library().plugin_registry()), true);
  static_cast<void>(once);
#endif
}

}  // namespace

void register_attention_plugin(nvinfer1::IBuilder& owner) { add_to_registry_of(owner); }
void register_attention_plugin(nvinfer1::IRuntime& owner) { add_to_registry_of(owner); }

}  // namespace cardiacseg::tensorrt
