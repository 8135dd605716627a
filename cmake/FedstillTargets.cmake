# fedstill_library(<folder> SOURCES ... [USES <fedstill folders>] [LIBS <third party>] [PRIVATE_LIBS ...])
# One static library per folder; it links only the folders named in USES.
function(fedstill_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LIBS;PRIVATE_LIBS" ${ARGN})
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
endfunction()

# fedstill_tests(<folder> SOURCES ... [LIBS ...]): one executable and one CTest entry per folder.
function(fedstill_tests name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(fedstill_${name}_tests ${ARG_SOURCES})
  target_include_directories(fedstill_${name}_tests PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(fedstill_${name}_tests PRIVATE fedstill::${name} ${ARG_LIBS}
    fedstill_warnings GTest::gmock GTest::gtest_main)
  target_compile_definitions(fedstill_${name}_tests PRIVATE
    FEDSTILL_SOURCE_DIR="${CMAKE_SOURCE_DIR}" FEDSTILL_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${name} COMMAND fedstill_${name}_tests
    --gtest_output=xml:${CMAKE_BINARY_DIR}/test-results/${name}.xml)
endfunction()

# fedstill_fuzz(<target> <source> <folder>): a libFuzzer executable fed from tests/fuzz/corpus/<target>. Without clang the same source
# is linked to a driver that replays the corpus, so that ./check runs it anywhere.
function(fedstill_fuzz target source folder)
  add_executable(fuzz_${target} ${source})
  target_include_directories(fuzz_${target} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(fuzz_${target} PRIVATE fedstill::${folder} fedstill_warnings)
  if(FEDSTILL_BUILD_FUZZ)
    target_compile_options(fuzz_${target} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${target} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(fuzz_${target} PRIVATE "${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cpp")
  endif()
  if(FEDSTILL_BUILD_TESTS)
    add_test(NAME fuzz_${target} COMMAND fuzz_${target}
      $<$<BOOL:${FEDSTILL_BUILD_FUZZ}>:-runs=0> "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${target}"
      COMMAND_EXPAND_LISTS)
  endif()
endfunction()
