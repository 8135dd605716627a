#include "model/onnx_summary.h"

#include <array>
#include <protozero/pbf_reader.hpp>
#include <string_view>
#include <utility>

#include "model/decode_error.h"
#include "model/onnx_fields.h"
#include "model/onnx_proto.h"

namespace fedstill {
namespace {

using protozero::pbf_reader;

constexpr std::size_t kMaxParts = 65'536;  // of any list
constexpr std::size_t kMaxText = 1 << 16;
constexpr std::int64_t kMaxOnnxElements = std::int64_t{1} << 40;

[[noreturn]] void refuse(const std::string& what) { throw DecodeError("[onnx] " + what); }

void check_type(const pbf_reader& reader, protozero::pbf_wire_type expected) {
  if (reader.wire_type() != expected) {
    refuse("field " + std::to_string(reader.tag()) + " has another wire type than the standard's");
  }
}

std::int64_t integer(pbf_reader& reader) {
  check_type(reader, protozero::pbf_wire_type::varint);
  return reader.get_int64();
}

std::string_view bytes_of(pbf_reader& reader) {
  check_type(reader, protozero::pbf_wire_type::length_delimited);
  const auto view = reader.get_view();
  return {view.data(), view.size()};
}

std::string text(pbf_reader& reader) {
  const auto view = bytes_of(reader);
  if (view.size() > kMaxText) refuse("a text has " + std::to_string(view.size()) + " bytes");
  return std::string(view);
}

pbf_reader message(pbf_reader& reader) {
  const auto view = bytes_of(reader);
  return pbf_reader(protozero::data_view(view.data(), view.size()));
}

// Hands every field of a message to take, which says false to one that it does not know.
template <typename Take>
void walk(pbf_reader fields, const char* where, const Take& take) {
  while (fields.next()) {
    const auto tag = fields.tag();
    if (take(fields, tag)) continue;
    refuse("found field " + std::to_string(tag) + " in a " + where +
           ", which fedstill does not write");
  }
}

template <typename T>
T& grown(std::vector<T>& parts) {
  if (parts.size() >= kMaxParts) refuse("more than " + std::to_string(kMaxParts) + " parts");
  return parts.emplace_back();
}

struct ElementType {
  OnnxType code;
  const char* name;
  std::int64_t bytes;
};
constexpr std::array<ElementType, 5> kElementTypes{{{OnnxType::kFloat, "float32", 4},
                                                    {OnnxType::kUint8, "uint8", 1},
                                                    {OnnxType::kInt8, "int8", 1},
                                                    {OnnxType::kInt32, "int32", 4},
                                                    {OnnxType::kInt64, "int64", 8}}};

const ElementType& element_type(std::int64_t code) {
  for (const auto& type : kElementTypes) {
    if (code == static_cast<std::int64_t>(type.code)) return type;
  }
  refuse("element type " + std::to_string(code) + " is not one that fedstill writes");
}

void read_dim(pbf_reader dim, OnnxTensorInfo& out) {
  walk(dim, "dimension", [&](pbf_reader& field, auto tag) {
    if (tag == dim_field::kValue) {
      grown(out.shape) = std::to_string(integer(field));
    } else if (tag == dim_field::kParam) {
      grown(out.shape) = text(field);
    } else {
      return false;
    }
    return true;
  });
}

void read_shape(pbf_reader shape, OnnxTensorInfo& out) {
  walk(shape, "shape", [&](pbf_reader& field, auto tag) {
    if (tag == shape_field::kDim) read_dim(message(field), out);
    return tag == shape_field::kDim;
  });
}

void read_tensor_type(pbf_reader type, OnnxTensorInfo& out) {
  walk(type, "tensor type", [&](pbf_reader& field, auto tag) {
    if (tag == tensor_type_field::kElement) {
      out.type = element_type(integer(field)).name;
    } else if (tag == tensor_type_field::kShape) {
      read_shape(message(field), out);
    } else {
      return false;
    }
    return true;
  });
}

void read_type(pbf_reader type, OnnxTensorInfo& out) {
  walk(type, "type", [&](pbf_reader& field, auto tag) {
    if (tag == type_field::kTensor) read_tensor_type(message(field), out);
    return tag == type_field::kTensor;
  });
}

void read_value(pbf_reader value, OnnxTensorInfo& out) {
  walk(value, "value", [&](pbf_reader& field, auto tag) {
    if (tag == value_field::kName) {
      out.name = text(field);
    } else if (tag == value_field::kType) {
      read_type(message(field), out);
    } else {
      return false;
    }
    return true;
  });
}

void read_initializer(pbf_reader tensor, OnnxTensorInfo& out) {
  std::int64_t elements = 1, code = 0;
  walk(tensor, "tensor", [&](pbf_reader& field, auto tag) {
    if (tag == tensor_field::kDims) {
      const std::int64_t size = integer(field);
      if (size < 0 || (size > 0 && elements > kMaxOnnxElements / size))
        refuse("a shape is too large");
      elements *= size;
      grown(out.shape) = std::to_string(size);
    } else if (tag == tensor_field::kType) {
      code = integer(field);
    } else if (tag == tensor_field::kName) {
      out.name = text(field);
    } else if (tag == tensor_field::kRaw) {
      out.bytes = static_cast<std::int64_t>(bytes_of(field).size());
    } else {
      return false;
    }
    return true;
  });
  const ElementType& type = element_type(code);
  out.type = type.name;
  if (out.bytes != elements * type.bytes) {
    refuse("initializer has " + std::to_string(out.bytes) + " bytes, expected " +
           std::to_string(elements * type.bytes) + ": " + out.name);
  }
}

std::string operator_of(pbf_reader node) {
  std::string op;
  walk(node, "node", [&](pbf_reader& field, auto tag) {
    if (tag == node_field::kOp) {
      op = text(field);
    } else {
      bytes_of(field);  // names and attributes
    }
    return tag <= node_field::kAttribute;
  });
  if (op.empty()) refuse("a node has no operator");
  return op;
}

void read_graph(pbf_reader graph, OnnxSummary& out) {
  walk(graph, "graph", [&](pbf_reader& field, auto tag) {
    if (tag == graph_field::kNode) {
      ++out.operators[operator_of(message(field))];
    } else if (tag == graph_field::kName) {
      out.graph = text(field);
    } else if (tag == graph_field::kInitializer) {
      read_initializer(message(field), grown(out.initializers));
    } else if (tag == graph_field::kInput) {
      read_value(message(field), grown(out.inputs));
    } else if (tag == graph_field::kOutput) {
      read_value(message(field), grown(out.outputs));
    } else {
      return false;
    }
    return true;
  });
}

void read_opset(pbf_reader opset, OnnxSummary& out) {
  walk(opset, "opset", [&](pbf_reader& field, auto tag) {
    if (tag == opset_field::kVersion) out.opset = integer(field);
    return tag == opset_field::kVersion;
  });
}

void read_property(pbf_reader property, OnnxSummary& out) {
  std::string key, value;
  walk(property, "property", [&](pbf_reader& field, auto tag) {
    if (tag == property_field::kKey) key = text(field);
    if (tag == property_field::kValue) value = text(field);
    return tag == property_field::kKey || tag == property_field::kValue;
  });
  out.metadata[key] = value;
}

void read_model(pbf_reader model, OnnxSummary& out) {
  bool has_graph = false;
  walk(model, "model", [&](pbf_reader& field, auto tag) {
    if (tag == model_field::kIr) {
      out.ir_version = integer(field);
    } else if (tag == model_field::kProducer) {
      out.producer = text(field);
    } else if (tag == model_field::kGraph) {
      if (std::exchange(has_graph, true)) refuse("two graphs");
      read_graph(message(field), out);
    } else if (tag == model_field::kOpset) {
      read_opset(message(field), out);
    } else if (tag == model_field::kMetadata) {
      read_property(message(field), out);
    } else {
      return false;
    }
    return true;
  });
  if (!has_graph || out.ir_version == 0 || out.opset == 0) refuse("a part of it is missing");
}

}  // namespace

OnnxSummary decode_onnx_summary(std::span<const std::byte> bytes) {
  OnnxSummary out;
  try {
    read_model(pbf_reader(reinterpret_cast<const char*>(bytes.data()), bytes.size()), out);
  } catch (const protozero::exception& error) {
    refuse(error.what());
  }
  return out;
}

}  // namespace fedstill
