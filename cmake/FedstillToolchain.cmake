# Compiler cache, linker, warnings and sanitizers: one place, no global flags but the sanitizer's.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(FEDSTILL_CCACHE ccache)
if(FEDSTILL_CCACHE)
  # What ccache must be told before it keeps what was compiled with a precompiled header (ccache manual, "Precompiled headers").
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${FEDSTILL_CCACHE}")
  if(FEDSTILL_PRECOMPILE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()
find_program(FEDSTILL_MOLD mold)
if(FEDSTILL_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12.1)
  add_link_options(-fuse-ld=mold)
endif()

option(FEDSTILL_WERROR "Warnings are errors" OFF)
add_library(fedstill_warnings INTERFACE)
target_compile_options(fedstill_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  $<$<BOOL:${FEDSTILL_WERROR}>:-Werror>)

# g++ 12 warns of overlaps in "x" + std::to_string(i) that cannot be (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(fedstill_warnings INTERFACE -Wno-restrict)
endif()

# Files compiled as one look like headers to g++, which warns of unnamed namespaces in headers.
if(FEDSTILL_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(fedstill_warnings INTERFACE -Wno-subobject-linkage)
endif()

if(FEDSTILL_BUILD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # coverage in the libraries too, or the fuzzer is blind
endif()
if(FEDSTILL_SANITIZE)
  add_compile_options(-fsanitize=${FEDSTILL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${FEDSTILL_SANITIZE})
endif()
