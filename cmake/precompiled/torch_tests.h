// Read once for all tests on LibTorch instead of once a file.
#pragma once

#include "cmake/precompiled/tests.h"
#include "cmake/precompiled/torch.h"
