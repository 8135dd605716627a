#include "collective/elements.h"

#include <stdexcept>

namespace fedstill {

std::size_t element_size(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return 4;
    case ElementType::kFloat64:
      return 8;
    case ElementType::kBfloat16:
      return 2;
    case ElementType::kInt64:
      return 8;
    case ElementType::kUint8:
      return 1;
  }
  throw std::invalid_argument("[collective] no such element type");
}

const char* element_name(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return "float32";
    case ElementType::kFloat64:
      return "float64";
    case ElementType::kBfloat16:
      return "bfloat16";
    case ElementType::kInt64:
      return "int64";
    case ElementType::kUint8:
      return "uint8";
  }
  throw std::invalid_argument("[collective] no such element type");
}

}  // namespace fedstill
