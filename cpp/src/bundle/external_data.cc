#include "bundle/external_data.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace cardiacseg {
namespace {

using Bytes = std::span<const std::byte>;

/// Messages of onnx.proto that can contain a tensor, and a tensor's reference to another file.
enum class Message { model, training, function, graph, node, attribute, sparse_tensor, tensor, external_data };

struct Member {
  Message parent;
  std::uint32_t field;
  Message child;
};

constexpr std::array kMembers{
    Member{Message::model, 7, Message::graph},
    Member{Message::model, 20, Message::training},
    Member{Message::model, 25, Message::function},
    Member{Message::training, 1, Message::graph},
    Member{Message::training, 2, Message::graph},
    Member{Message::function, 7, Message::node},
    Member{Message::function, 11, Message::attribute},
    Member{Message::graph, 1, Message::node},
    Member{Message::graph, 5, Message::tensor},
    Member{Message::graph, 15, Message::sparse_tensor},
    Member{Message::node, 5, Message::attribute},
    Member{Message::attribute, 5, Message::tensor},
    Member{Message::attribute, 6, Message::graph},
    Member{Message::attribute, 10, Message::tensor},
    Member{Message::attribute, 11, Message::graph},
    Member{Message::attribute, 22, Message::sparse_tensor},
    Member{Message::attribute, 23, Message::sparse_tensor},
    Member{Message::sparse_tensor, 1, Message::tensor},
    Member{Message::sparse_tensor, 2, Message::tensor},
    Member{Message::tensor, 13, Message::external_data},
};

constexpr std::uint32_t kDataLocation = 14;  ///< of a tensor; 0: inside the file

/// Protobuf's wire types.
enum class Wire : std::uint32_t { varint = 0, fixed64 = 1, bytes = 2, group = 3, group_end = 4, fixed32 = 5 };

struct Field {
  std::uint32_t number;
  Wire wire;
  std::uint64_t value;  ///< of a varint
  Bytes bytes;          ///< of a message, a text or the like
};

/// Reads the fields of a message one after another.
class FieldReader {
 public:
  explicit FieldReader(Bytes left) : left_(left) {}

  /// The next field outside groups (ONNX does not use groups); nothing at the end, or if the bytes are not a message.
  std::optional<Field> next() {
    int depth = 0;
    while (std::optional<Field> field = take()) {
      if (field->wire == Wire::group)
        ++depth;
      else if (field->wire == Wire::group_end)
        --depth;
      else if (depth == 0)
        return field;
      if (depth < 0) return std::nullopt;
    }
    return std::nullopt;
  }

 private:
  std::optional<Field> take() {
    const std::optional<std::uint64_t> key = take_varint();
    if (!key) return std::nullopt;
    Field field{static_cast<std::uint32_t>(*key) >> 3U, static_cast<Wire>(*key & 7U), 0, {}};
    std::optional<std::uint64_t> size = 0;
    switch (field.wire) {
      case Wire::varint:
        if (const auto value = take_varint())
          field.value = *value;
        else
          return std::nullopt;
        return field;
      case Wire::group:
      case Wire::group_end:
        return field;
      case Wire::fixed64:
        size = 8;
        break;
      case Wire::fixed32:
        size = 4;
        break;
      case Wire::bytes:
        size = take_varint();
        break;
      default:
        return std::nullopt;
    }
    if (!size || *size > left_.size()) return std::nullopt;
    field.bytes = left_.first(static_cast<std::size_t>(*size));
    left_ = left_.subspan(field.bytes.size());
    return field;
  }

  std::optional<std::uint64_t> take_varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (left_.empty()) return std::nullopt;
      const auto byte = std::to_integer<std::uint64_t>(left_.front());
      left_ = left_.subspan(1);
      value |= (byte & 0x7fU) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

  Bytes left_;
};

}  // namespace

bool has_external_data(std::span<const std::byte> onnx) {
  std::vector<std::pair<Message, Bytes>> pending{{Message::model, onnx}};
  while (!pending.empty()) {
    const auto [message, bytes] = pending.back();
    pending.pop_back();
    if (message == Message::external_data) return true;
    FieldReader reader(bytes);
    while (const std::optional<Field> field = reader.next()) {
      if (message == Message::tensor && field->number == kDataLocation && field->value != 0) return true;
      const auto member = std::find_if(kMembers.begin(), kMembers.end(), [&, parent = message](const Member& known) {
        return known.parent == parent && known.field == field->number;
      });
      if (member != kMembers.end() && field->wire == Wire::bytes) pending.emplace_back(member->child, field->bytes);
    }
  }
  return false;
}

}  // namespace cardiacseg
