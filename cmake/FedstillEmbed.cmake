# fedstill_embed(<target> <namespace> <header> <function>=<file> ...): compiles files into a target as string_view functions, with the
# assembler's .incbin, so that megabytes cost no compile time.
function(fedstill_embed target namespace header)
  string(MAKE_C_IDENTIFIER "${header}" name)  # a target may embed several times
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${target}_${name}.cpp")
  set(text "#include \"${header}\"\n")
  foreach(pair ${ARGN})
    string(REGEX MATCH "^([a-z_]+)=(.+)$" _ "${pair}")
    set(function "${CMAKE_MATCH_1}")
    set(file "${CMAKE_MATCH_2}")
    list(APPEND files "${file}")
    string(APPEND text "asm(\".section .rodata\\n.global fedstill_${function}_begin\\nfedstill_${function}_begin:\\n.incbin \\\"${file}\\\"\\n\"\n"
      "    \".global fedstill_${function}_end\\nfedstill_${function}_end:\\n.byte 0\\n.previous\\n\");\n"
      "extern \"C\" const char fedstill_${function}_begin[], fedstill_${function}_end[];\n"
      "std::string_view ${namespace}::${function}() {\n"
      "  return {fedstill_${function}_begin, static_cast<std::size_t>(fedstill_${function}_end - fedstill_${function}_begin)};\n}\n")
  endforeach()
  file(CONFIGURE OUTPUT "${source}" CONTENT "${text}" @ONLY)
  set_source_files_properties("${source}" PROPERTIES OBJECT_DEPENDS "${files}" SKIP_UNITY_BUILD_INCLUSION ON)
  target_sources(${target} PRIVATE "${source}")
endfunction()
