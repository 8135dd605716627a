# What no image and no gradient passes through is optimised less: the build is a third shorter, the program no slower.
set(FEDSTILL_COLD $<$<CONFIG:Release>:-O1>)

# fedstill_precompile(<target> <header> <flags>): cmake/precompiled/<header>.h is compiled by the first target that asks with these
# flags and read by the others.
function(fedstill_precompile target header flags)
  if(NOT FEDSTILL_PRECOMPILE)
    return()
  endif()
  get_property(owner GLOBAL PROPERTY FEDSTILL_PRECOMPILED_${header}_${flags})
  if(owner)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${target} PRIVATE "${CMAKE_SOURCE_DIR}/cmake/precompiled/${header}.h")
    set_property(GLOBAL PROPERTY FEDSTILL_PRECOMPILED_${header}_${flags} ${target})
  endif()
endfunction()

# fedstill_library(<folder> [TORCH] [COLD] SOURCES ... [USES <fedstill folders>] [LIBS <third party>] [PRIVATE_LIBS ...])
# One static library per folder; it links only the folders named in USES. TORCH: most of its files see tensors. COLD: nothing in it
# is worth -O3.
function(fedstill_library name)
  cmake_parse_arguments(ARG "TORCH;COLD" "" "SOURCES;USES;LIBS;PRIVATE_LIBS" ${ARGN})
  if(NOT ARG_SOURCES)
    add_library(fedstill_${name} INTERFACE)
    add_library(fedstill::${name} ALIAS fedstill_${name})
    return()
  endif()
  add_library(fedstill_${name} STATIC ${ARG_SOURCES})
  add_library(fedstill::${name} ALIAS fedstill_${name})
  target_include_directories(fedstill_${name} PUBLIC "${CMAKE_SOURCE_DIR}")
  list(TRANSFORM ARG_USES PREPEND fedstill::)
  target_link_libraries(fedstill_${name} PUBLIC ${ARG_USES} ${ARG_LIBS}
    PRIVATE fedstill_warnings ${ARG_PRIVATE_LIBS})
  set(flags hot)
  if(ARG_COLD)
    set(flags cold)
    target_compile_options(fedstill_${name} PRIVATE ${FEDSTILL_COLD})
  endif()
  if(ARG_TORCH)
    fedstill_precompile(fedstill_${name} torch ${flags})
  endif()
endfunction()

# fedstill_tests(<folder> [TORCH] SOURCES ... [LIBS ...]): one executable and one CTest entry per folder.
function(fedstill_tests name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;LIBS" ${ARGN})
  add_executable(fedstill_${name}_tests ${ARG_SOURCES})
  target_include_directories(fedstill_${name}_tests PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(fedstill_${name}_tests PRIVATE fedstill::${name} ${ARG_LIBS}
    fedstill_warnings GTest::gmock GTest::gtest_main)
  target_compile_options(fedstill_${name}_tests PRIVATE ${FEDSTILL_COLD})
  target_compile_definitions(fedstill_${name}_tests PRIVATE
    FEDSTILL_SOURCE_DIR="${CMAKE_SOURCE_DIR}" FEDSTILL_BINARY_DIR="${CMAKE_BINARY_DIR}" FEDSTILL_DEPS="${FEDSTILL_DEPS}")
  if(ARG_TORCH)
    fedstill_precompile(fedstill_${name}_tests torch_tests cold)
  else()
    fedstill_precompile(fedstill_${name}_tests tests cold)
  endif()
  add_test(NAME ${name} COMMAND fedstill_${name}_tests
    --gtest_output=xml:${CMAKE_BINARY_DIR}/test-results/${name}.xml)
endfunction()

# fedstill_fuzz(<target> <source> <folder>): a libFuzzer executable fed from tests/fuzz/corpus/<target>. Without clang the same source
# is linked to a driver that replays the corpus, so that ./check runs it anywhere.
function(fedstill_fuzz target source folder)
  add_executable(fuzz_${target} ${source})
  target_include_directories(fuzz_${target} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(fuzz_${target} PRIVATE fedstill::${folder} fedstill_warnings)
  target_compile_options(fuzz_${target} PRIVATE ${FEDSTILL_COLD})
  if(FEDSTILL_BUILD_FUZZ)
    target_compile_options(fuzz_${target} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${target} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(fuzz_${target} PRIVATE "${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cpp")
  endif()
  if(FEDSTILL_BUILD_TESTS)
    set(replay_only)
    if(FEDSTILL_BUILD_FUZZ)
      set(replay_only -runs=0)
    endif()
    add_test(NAME fuzz_${target} COMMAND fuzz_${target} ${replay_only} "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${target}")
  endif()
endfunction()
