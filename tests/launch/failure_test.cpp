#include "launch/failure.h"

#include <ATen/core/Tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "data/data_error.h"
#include "launch/evaluate.h"
#include "launch/job.h"
#include "launch/run_bundle.h"
#include "launch/sites/membership.h"
#include "launch/sites/serve.h"
#include "model/atomic_file.h"
#include "model/model_file.h"
#include "model/onnx.h"
#include "model/zoo.h"
#include "tests/launch/process.h"
#include "training/device.h"
#include "training/fit.h"
#include "transport/peer_refused.h"
#include "transport/tls/credentials.h"
#include "transport/tls/dial.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using tests::run_program;
using tests::TempFolder;

Failure failure_of(const std::function<void()>& work) {
  try {
    work();
  } catch (...) {
    return describe(std::current_exception());
  }
  return {ExitCode::kOk, "no error", ""};
}

TEST(Failure, TorchErrorsAreOneLine) {
  const Failure failure = failure_of([] { TORCH_CHECK(false, "no such shape\nmore"); });
  EXPECT_EQ(failure.code, ExitCode::kInternal);
  EXPECT_EQ(failure.message, "no such shape");
}

TEST(Failure, WhatGoesWrongBetweenSitesHasItsCode) {
  const auto code_of = [](const auto& error) {
    const Failure failure = failure_of([&] { throw error; });
    EXPECT_EQ(failure.message, error.what());
    return failure.code;
  };
  EXPECT_EQ(code_of(RefusedError("no")), ExitCode::kRefused);
  EXPECT_EQ(code_of(CredentialError("no")), ExitCode::kRefused);
  EXPECT_EQ(code_of(DialError(DialError::Step::kTls, "no")), ExitCode::kRefused);
  EXPECT_EQ(code_of(DialError(DialError::Step::kConnect, "no")), ExitCode::kUnreachable);
  EXPECT_EQ(code_of(ChannelClosed("no")), ExitCode::kUnreachable);
  EXPECT_EQ(code_of(PeerRefused("no", "certificate revoked")), ExitCode::kRefused);
  EXPECT_EQ(code_of(RoundFailed("no")), ExitCode::kRoundFailed);
  EXPECT_EQ(code_of(Stopped("no")), ExitCode::kInterrupted);
  EXPECT_THAT(failure_of([] { throw JobError("[upstream] several rounds"); }).hint,
              HasSubstr("without --upstream"));
}

TEST(Failure, APortInUseHasAHint) {
  const auto error = std::make_error_code(std::errc::address_in_use);
  const Failure failure = failure_of([&] { throw std::system_error(error, "[server] x:1"); });
  EXPECT_EQ(failure.code, ExitCode::kIo);
  EXPECT_THAT(failure.hint, HasSubstr("another port"));
}

// Whoever dials: an administrator cannot run a site's preflight.
TEST(Failure, WhereTheWayEndsTheHintFits) {
  using Step = DialError::Step;
  for (const Step step : {Step::kName, Step::kConnect, Step::kProxy, Step::kTls}) {
    const std::string hint = failure_of([&] { throw DialError(step, "no"); }).hint;
    EXPECT_NE(hint, "");
    EXPECT_THAT(hint, Not(HasSubstr("preflight")));
  }
  const auto hint_of = [](const char* reason) {
    return failure_of([&] { throw PeerRefused("no", reason); }).hint;
  };
  EXPECT_THAT(hint_of("certificate revoked"), HasSubstr("a new certificate"));
  EXPECT_THAT(hint_of("bad certificate"), HasSubstr("--allowed"));
  EXPECT_THAT(hint_of("unknown ca"), HasSubstr("another authority"));
}

TEST(Failure, AWrongNameOrRoleInACertificateIsNoBug) {
  const TempFolder folder;
  const std::string site = (folder / "site").string();
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"cert", "request", site, "--name", "../x"},
           {"cert", "request", site, "--name", "x", "--role", "king"},
           {"cert", "init", site, "--days", "-5"}}) {
    const auto found = run_program(words);
    EXPECT_EQ(found.code, 2) << found.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "site"));
  }
}

TEST(Failure, TorchOutOfMemoryIsNoBug) {
  const Failure failure = failure_of(
      [] { TORCH_CHECK(false, "DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"); });
  EXPECT_EQ(failure.code, ExitCode::kIo);
  EXPECT_EQ(failure.message, "out of memory");
}

TEST(Failure, ADeviceThatIsMissingIsNoBug) {
  const Failure failure =
      failure_of([] { open_device("cuda", {.library = "/nowhere/libtorch_cuda.so"}); });
  EXPECT_EQ(failure.code, ExitCode::kDevice);
  EXPECT_THAT(failure.message, HasSubstr("/nowhere/libtorch_cuda.so"));
  EXPECT_THAT(failure.hint, HasSubstr("./fedstill --cuda"));
}

TEST(Failure, ADeviceThatFailsIsNoBug) {
  const Failure failure = failure_of([] {
    throw c10::AcceleratorError({__func__, __FILE__, __LINE__}, 719, "CUDA error: launch failure");
  });
  EXPECT_EQ(failure.code, ExitCode::kDevice);
  EXPECT_EQ(failure.message, "CUDA error: launch failure");
  EXPECT_THAT(failure.hint, HasSubstr("simulate --resume RUN --device cpu"));
  EXPECT_THAT(failure.hint, HasSubstr("same command with --run RUN --device cpu"));
}

TEST(Failure, ADeviceOutOfMemoryIsNoBug) {
  const Failure failure = failure_of(
      [] { TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate"); });
  EXPECT_EQ(failure.code, ExitCode::kIo);
  EXPECT_THAT(failure.hint, HasSubstr("--workers"));
}

TEST(Failure, ABundleThatCannotRunIsTheFilesFault) {
  const Failure failure = failure_of(
      [] { run_bundle("b.fsb", [] { throw std::invalid_argument("no integer form"); }); });
  EXPECT_EQ(failure.code, ExitCode::kDamagedFile);
  EXPECT_THAT(failure.message, HasSubstr("b.fsb: no integer form"));
}

TEST(Failure, ANameThatIsNotTextIsReported) {
  const auto done = run_program({"inspect", "\xff", "--json"});
  EXPECT_EQ(done.code, static_cast<int>(ExitCode::kData));
  EXPECT_EQ(nlohmann::json::parse(done.out).at("exit_code"), done.code);
}

// Commands without anything to go on with end as the system ends them.
TEST(Failure, CtrlCEndsACommandThatKeepsNothing) {
  const TempFolder temp;
  const std::string pipe = temp / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  tests::Process process({"inspect", pipe});
  int writer = -1;  // can be opened when the program reads
  while ((writer = ::open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 &&
         !process.ends_within(std::chrono::milliseconds(2))) {
  }
  process.signal(SIGINT);
  ASSERT_TRUE(process.ends_within(std::chrono::seconds(20)));
  EXPECT_EQ(process.wait(), -SIGINT);
  ::close(writer);
}

TEST(Failure, TheHintFitsTheFile) {
  const auto hint = [](auto error) { return failure_of([&] { throw error; }).hint; };
  EXPECT_THAT(hint(DataError("[png] a.png: not a PNG")), HasSubstr("image file"));
  EXPECT_THAT(hint(DataError("[data] cannot read x")), HasSubstr("data.source"));
  EXPECT_EQ(hint(JobError("[run] x is not finished")), "");
  EXPECT_THAT(hint(JobError("[job] unknown key")), HasSubstr("--print-job"));
}

TEST(Failure, AnotherKindOfFileIsNamed) {
  TempFolder temp;
  const std::string model = temp / "student.safetensors", onnx = temp / "student.onnx";
  const Graph graph = make_model("mlp", {1, 16, 16}, 4, 1);
  write_model(model, graph);
  write_file_atomically(onnx, encode_onnx(graph));
  EXPECT_THAT(run_program({"predict", model, "x.png"}).err,
              HasSubstr("kind model, expected a bundle"));
  EXPECT_THAT(run_program({"evaluate", onnx, "--data", "synthetic"}).err,
              HasSubstr("kind onnx, expected a bundle or a model"));
  std::filesystem::resize_file(model, std::filesystem::file_size(model) - 1);
  const auto truncated = run_program({"inspect", model});
  EXPECT_EQ(truncated.code, 5);
  EXPECT_THAT(truncated.err, HasSubstr("[safetensors] " + model + ": "));
}

TEST(Failure, AMisspeltSourceIsSuggested) {
  const auto done = run_program({"simulate", "--set", "data.source=fashion-mnst", "--print-job"});
  EXPECT_EQ(done.code, 3);
  EXPECT_THAT(done.err, HasSubstr("did you mean fashion-mnist?"));
}

TEST(Failure, AJobIsPrintedAsJsonToo) {
  const auto done = run_program({"simulate", "--seed", "3", "--print-job", "--json"});
  EXPECT_EQ(nlohmann::json::parse(done.out).at("job").at("run").at("seed"), 3) << done.out;
}

std::string be32(unsigned value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

// Ten black images of 28 × 28, one of each class, under the four names of MNIST.
void write_images(const TempFolder& folder) {
  std::string labels = be32(0x801) + be32(10);
  for (char c = 0; c < 10; ++c) labels += c;
  for (const char* part : {"train", "t10k"}) {
    std::ofstream(folder / (std::string(part) + "-images-idx3-ubyte"), std::ios::binary)
        << be32(0x803) << be32(10) << be32(28) << be32(28) << std::string(10 * 28 * 28, '\x01');
    std::ofstream(folder / (std::string(part) + "-labels-idx1-ubyte"), std::ios::binary) << labels;
  }
}

TEST(Evaluate, RefusesModelsWithoutTheDatasLogits) {
  TempFolder temp;
  write_images(temp);
  const auto evaluated = [&](std::int64_t classes, auto change) {
    Graph graph = make_model("mlp", {1, 28, 28}, classes, 1);
    change(graph);
    write_model(temp / "m.safetensors", graph);
    return failure_of(
        [&] { evaluate_file(temp / "m.safetensors", "mnist:" + temp.path().string()); });
  };
  const Failure good = evaluated(10, [](Graph&) {});
  const auto told = evaluate_file(temp / "m.safetensors", "mnist:" + temp.path().string());
  EXPECT_EQ(told.at("normalisation"), "measured");  // there is no run beside it
  EXPECT_THAT(told.at("warning"), HasSubstr("no bundle.fsb"));
  EXPECT_EQ(good.code, ExitCode::kOk) << good.message;
  EXPECT_EQ(evaluated(11, [](Graph&) {}).code, ExitCode::kData);
  EXPECT_EQ(evaluated(10, [](Graph& g) { g.outputs["logits"] = 0; }).code, ExitCode::kDamagedFile);
  EXPECT_EQ(evaluated(10,
                      [](Graph& g) {
                        g.outputs = {{"other", g.output("logits")}};
                      })
                .code,
            ExitCode::kDamagedFile);
}

}  // namespace
}  // namespace fedstill
