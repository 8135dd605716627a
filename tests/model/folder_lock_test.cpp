#include "model/folder_lock.h"

#include <gtest/gtest.h>

#include <system_error>
#include <utility>

#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

std::string problem_of(const std::filesystem::path& folder) {
  return tests::error_of<std::system_error>([&] { FolderLock(folder, "[x]", "it is taken"); });
}

TEST(FolderLock, HoldsUntilItsLastOwnerEnds) {
  const TemporaryFolder folder;
  {
    FolderLock first(folder.path(), "[x]", "it is taken");
    const FolderLock second = std::move(first);
    EXPECT_TRUE(
        problem_of(folder.path()).starts_with("[x] " + folder.path().string() + ": it is taken"));
  }
  EXPECT_EQ(problem_of(folder.path()), "no error");
}

TEST(FolderLock, WhatCannotBeOpenedIsNotTaken) {
  const TemporaryFolder folder;
  EXPECT_NE(problem_of(folder.path() / "nowhere").find("cannot be opened"), std::string::npos);
  std::filesystem::create_symlink(folder.path() / "elsewhere", folder.path() / "lock");
  EXPECT_NE(problem_of(folder.path()).find("cannot be opened"), std::string::npos);
}

}  // namespace
}  // namespace fedstill
