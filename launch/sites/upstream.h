#pragma once

#include <cstddef>
#include <vector>

#include "launch/sites/membership.h"
#include "launch/stages/material.h"
#include "launch/stages/rounds.h"

namespace fedstill {

// A coordinator as a client of another one: its student goes up as the model, what its clients know
// together (aggregation/joint_confidence.h) as the confidence head, the sum of their images as the
// sample count. Returns the bundle that came down, kept as bundle.fsb in the membership's state,
// from which it goes on after a kill. Throws JobError where the other's job has several rounds,
// DataError where its pool is another, DecodeError for a bundle that cannot be read, and what
// take_part_as() and distill_confidence_head() throw.
std::vector<std::byte> go_upstream(const Membership& membership, const Run& run,
                                   const Material& material, const RoundOutcome& outcome);

}  // namespace fedstill
