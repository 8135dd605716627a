#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace fedstill::chain {

// Memory that begins at a cache line, so that no panel straddles two.
template <typename T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  CacheLineAllocator() = default;
  template <typename U>
  CacheLineAllocator(const CacheLineAllocator<U>&) {}  // NOLINT: allocators convert

  T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), kLine));
  }
  void deallocate(T* at, std::size_t) { ::operator delete(at, kLine); }
  bool operator==(const CacheLineAllocator&) const = default;
};

template <typename T>
using Aligned = std::vector<T, CacheLineAllocator<T>>;

inline std::size_t size_of(std::int64_t count) { return static_cast<std::size_t>(count); }

}  // namespace fedstill::chain
