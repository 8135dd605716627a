#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/model_file.h"
#include "model/safetensors.h"

namespace fedstill {

// What model files and those that hold a model among other things have in common: a safetensors
// file whose metadata names the SHA-256 of its data section (docs/formats.md), so that a flipped
// bit of a weight, which no other check can see, is found.
std::vector<std::byte> encode_container(std::map<std::string, std::string> metadata,
                                        const std::map<std::string, Tensor>& tensors);

// Without that entry, as other writers leave it out, the bytes are taken as they are. The metadata
// comes back without it. Throws DecodeError as decode_safetensors() does, and for more bytes than
// the limit or other data than the hash is of.
Safetensors decode_container(const ByteSource& source, const ModelFileLimits& limits);

}  // namespace fedstill
