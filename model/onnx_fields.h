#pragma once

#include <cstdint>

// Field numbers of the messages in onnx.proto that our files use; fixed by the standard.
namespace fedstill {

namespace model_field {
enum : std::uint32_t { kIr = 1, kProducer = 2, kGraph = 7, kOpset = 8, kMetadata = 14 };
}
namespace graph_field {
enum : std::uint32_t { kNode = 1, kName = 2, kInitializer = 5, kInput = 11, kOutput = 12 };
}
namespace node_field {
enum : std::uint32_t { kInput = 1, kOutput = 2, kName = 3, kOp = 4, kAttribute = 5 };
}
namespace attribute_field {
enum : std::uint32_t { kName = 1, kFloat = 2, kInt = 3, kString = 4, kInts = 8, kType = 20 };
}
namespace attribute_type {
enum : std::int32_t { kFloat = 1, kInt = 2, kString = 3, kInts = 7 };
}
namespace tensor_field {
enum : std::uint32_t { kDims = 1, kType = 2, kName = 8, kRaw = 9 };
}
namespace opset_field {
enum : std::uint32_t { kDomain = 1, kVersion = 2 };
}
namespace value_field {
enum : std::uint32_t { kName = 1, kType = 2 };
}
namespace type_field {
enum : std::uint32_t { kTensor = 1 };
}
namespace tensor_type_field {
enum : std::uint32_t { kElement = 1, kShape = 2 };
}
namespace shape_field {
enum : std::uint32_t { kDim = 1 };
}
namespace dim_field {
enum : std::uint32_t { kValue = 1, kParam = 2 };
}
namespace property_field {
enum : std::uint32_t { kKey = 1, kValue = 2 };
}

}  // namespace fedstill
