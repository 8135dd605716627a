#pragma once

#include <memory>
#include <numeric>
#include <utility>

#include "data/images.h"

namespace fedstill {

// All images of a set, in its order.
inline ImageView whole(std::shared_ptr<const Images> images) {
  ImageView view{std::move(images), {}};
  view.indices.resize(static_cast<std::size_t>(view.images->count()));
  std::iota(view.indices.begin(), view.indices.end(), std::int64_t{0});
  return view;
}

}  // namespace fedstill
