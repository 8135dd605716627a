#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "compression/edge/bundle.h"
#include "data/readers.h"
#include "launch/machine.h"
#include "launch/png_image.h"
#include "model/atomic_file.h"
#include "model/sha256.h"
#include "tests/pipeline/small_job.h"
#include "training/executor.h"

namespace fedstill::tests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using WholeWay = Pipeline;

TEST_F(WholeWay, LeavesEverythingAUserWants) {
  for (const char* file :
       {"job.toml", "events.jsonl", "metrics.csv", "split.json", "cache/pool.predictions",
        "cache/test.predictions", "student.safetensors", "student.onnx", "bundle.fsb",
        "report.json", "report.html", "clients/client-00/update.safetensors"}) {
    EXPECT_TRUE(std::filesystem::exists(reference() / file)) << file;
  }
  EXPECT_FALSE(std::filesystem::exists(reference() / "student.checkpoint"));
  EXPECT_EQ(sha256_hex_of_file(reference() / "student.safetensors"), student_of(reference()));
}

TEST_F(WholeWay, ReportHoldsWhatScriptsRelyOn) {
  const json r = report_of(reference());
  EXPECT_EQ(r.at("job").at("clients").at("count"), 3);
  EXPECT_EQ(r.at("seed"), 0);
  EXPECT_EQ(r.at("split").at("hash").get<std::string>().size(), 64u);
  ASSERT_EQ(r.at("clients").size(), 3u);
  for (const auto& client : r.at("clients")) {
    std::int64_t samples = 0;
    for (const auto& count : client.at("class_counts")) samples += count.get<std::int64_t>();
    EXPECT_EQ(client.at("samples"), samples);
    EXPECT_GE(client.at("test_accuracy"), 0.0);
    EXPECT_GT(client.at("seconds"), 0.0);
    EXPECT_GE(client.at("loss_curve").size(), 3u);
  }
  EXPECT_EQ(r.at("clients")[1].at("architecture"), "lenet5");
  EXPECT_EQ(r.at("rules").at(r.at("ensemble").at("rule").get<std::string>()),
            r.at("ensemble").at("test_accuracy"));
  EXPECT_GE(r.at("rules").size(), 9u);
  EXPECT_GT(r.at("ensemble").at("pool_accuracy"), 0.3);
  EXPECT_EQ(r.at("trust").at("weight").size(), 3u);
  EXPECT_EQ(r.at("student").at("loss_curve").size(), 4u);
  EXPECT_GT(r.at("student").at("test_accuracy"), 0.3);  // one in four by chance
  EXPECT_NEAR(r.at("bundle").at("test_accuracy"), r.at("student").at("test_accuracy"), 0.1);
  EXPECT_LT(r.at("bundle").at("layers").size(), 100u);
  EXPECT_EQ(r.at("warnings"), json::array());
  EXPECT_GE(r.at("samples").size(), 16u);
  EXPECT_EQ(r.at("samples")[0].at("soft_label").size(), 4u);
  EXPECT_EQ(r.at("samples")[0].at("weights").size(), 3u);
  for (const char* stage : {"load", "clients", "teachers", "student", "bundle"}) {
    EXPECT_GT(r.at("seconds").at(stage), 0.0) << stage;
  }
  EXPECT_GT(r.at("peak_rss_bytes"), 1 << 20);
  EXPECT_GT(r.at("start_to_first_step_seconds"), 0.0);
}

TEST_F(WholeWay, PrintsOneJsonObjectOnStdout) {
  const json printed = json::parse(reference_result().out);
  EXPECT_EQ(printed.at("status"), "success");
  EXPECT_EQ(printed.at("student"), report_of(reference()).at("student"));
}

TEST_F(WholeWay, FourWorkersGiveTheSameStudent) {
  const Finished done = run_program(small_job(fresh("four"), {"--workers", "4"}));
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(student_of(fresh("four")), student_of(reference()));
  // The speed of a stage is that of what it counts.
  EXPECT_THAT(done.err, HasSubstr("compressing: agrees with the float student on "));
  EXPECT_THAT(done.err, HasSubstr("measuring the bundle: w8a8: "));
  EXPECT_THAT(done.out, HasSubstr("student"));
}

TEST_F(WholeWay, Bfloat16IsWarnedOfWhereItDoesNotPay) {
  const auto run = fresh("threads");
  Process process(small_job(run, {"--set", "run.bf16=true"}));
  ASSERT_TRUE(process.wait_for_text(run / "events.jsonl", "client_started")) << process.err();
  process.signal(SIGKILL);
  process.wait();
  EXPECT_EQ(process.err().find("run.bf16 = true: on a processor") == std::string::npos,
            bf16_pays());
}

TEST_F(WholeWay, AnotherSeedGivesAnotherStudent) {
  const Finished done = run_program(small_job(fresh("seed"), {"--seed", "1", "--quiet"}));
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.err, "");
  EXPECT_NE(student_of(fresh("seed")), student_of(reference()));
}

TEST_F(WholeWay, InspectKnowsEveryFile) {
  const std::pair<const char*, const char*> files[] = {
      {"student.safetensors", "model"}, {"clients/client-02/update.safetensors", "model"},
      {"bundle.fsb", "bundle"},         {"cache/pool.predictions", "prediction cache"},
      {"split.json", "split"},          {"report.json", "report"},
      {"student.onnx", "onnx"},         {"", "report"}};
  for (const auto& [file, kind] : files) {
    EXPECT_EQ(run_json({"inspect", (reference() / file).string(), "--json"}).at("kind"), kind);
  }
  const json update = run_json(
      {"inspect", (reference() / "clients/client-02/update.safetensors").string(), "--json"});
  EXPECT_TRUE(update.at("outputs").contains("confidence"));
  EXPECT_GT(update.at("total").at("parameters"), 1000);
  const json onnx = run_json({"inspect", (reference() / "student.onnx").string(), "--json"});
  EXPECT_EQ(onnx.at("opset"), 17);
  EXPECT_EQ(onnx.at("inputs")[0].at("shape"), (json{"N", "1", "16", "16"}));
  EXPECT_GE(onnx.at("operators").at("Conv"), 1);
  const Finished table = run_program({"inspect", (reference() / "student.safetensors").string()});
  EXPECT_THAT(table.out, HasSubstr("multiply-adds"));
  EXPECT_THAT(table.out, HasSubstr(student_of(reference())));
}

TEST_F(WholeWay, EvaluateAgreesWithTheReport) {
  const json r = report_of(reference());
  const std::string source = "synthetic:4x1x16x16";
  EXPECT_EQ(
      run_json({"evaluate", (reference() / "bundle.fsb").string(), "--data", source, "--json"})
          .at("test_accuracy"),
      r.at("bundle").at("test_accuracy"));
  const json of_run = run_json({"evaluate", (reference() / "bundle.fsb").string(), "--json"});
  EXPECT_EQ(of_run.at("data"), source);
  EXPECT_EQ(of_run.at("test_accuracy"), r.at("bundle").at("test_accuracy"));
  EXPECT_EQ(run_json({"evaluate", (reference() / "student.safetensors").string(), "--data", source,
                      "--json"})
                .at("test_accuracy"),
            r.at("student").at("test_accuracy"));
  EXPECT_EQ(run_json({"evaluate", (reference() / "clients/client-01/update.safetensors").string(),
                      "--data", source, "--json"})
                .at("test_accuracy"),
            r.at("clients")[1].at("test_accuracy"));
}

// A model file within a run is that run's; one beside somebody's job file is nobody's.
TEST_F(WholeWay, EvaluateAsksTheRunThatAFileLiesIn) {
  const auto folder = fresh("no-run");
  std::filesystem::create_directories(folder / "models");
  std::filesystem::copy_file(reference() / "student.safetensors", folder / "models/m.safetensors");
  std::ofstream(folder / "job.toml") << text_of(reference() / "job.toml");
  const std::vector<std::string> words{"evaluate", (folder / "models/m.safetensors").string()};
  EXPECT_THAT(run_program(words).err, HasSubstr("fashion-mnist"));  // not as in the job file
  std::filesystem::create_directory(folder / "state");
  EXPECT_EQ(run_json({words[0], words[1], "--json"}).at("data"), "synthetic:4x1x16x16");
}

TEST_F(WholeWay, EvaluateTakesTheImagesOfASite) {
  const auto sites = fresh("shards");
  std::vector<std::string> deal = small_job("", {"--out", sites.string()});
  deal.erase(deal.begin() + 1, deal.begin() + 3);
  deal.front() = "shards";
  ASSERT_EQ(run_program(deal).code, 0);
  const std::string source = "idx:" + (sites / "client-00").string();
  for (const char* model : {"bundle.fsb", "student.safetensors"}) {
    const json told =
        run_json({"evaluate", (reference() / model).string(), "--data", source, "--json"});
    EXPECT_EQ(told.at("images"), report_of(reference()).at("clients").at(0).at("samples"));
    EXPECT_EQ(told.at("part"), "own");
    EXPECT_GT(told.at("test_accuracy"), 0.25);
  }
}

// They change the last bits of what is trained, and workers do not.
TEST_F(WholeWay, ThreadsOfAClientAreUsed) {
  const auto clients = [&](const std::string& name, const char* workers) {
    const Finished done =
        run_program(small_job(fresh(name), {"--set", "clients.threads=2", "--workers", workers}));
    EXPECT_EQ(done.code, 0) << done.err;
    return report_of(fresh(name)).at("clients");
  };
  const json two = clients("threads-two", "2"), four = clients("threads-four", "4"),
             one = report_of(reference()).at("clients");
  for (const std::size_t k : {0U, 1U, 2U}) {
    EXPECT_EQ(two.at(k).at("sha256"), four.at(k).at("sha256"));
    EXPECT_NE(two.at(k).at("sha256"), one.at(k).at("sha256"));
  }
}

TEST_F(WholeWay, EvaluateWarnsOfOtherClasses) {
  EdgeBundle bundle = read_bundle(reference() / "bundle.fsb");
  const auto warns = [&](const std::string& name) {
    bundle.class_names[2] = name;
    write_bundle(fresh("named.fsb"), bundle);
    return run_json(
               {"evaluate", fresh("named.fsb").string(), "--data", "synthetic:4x1x16x16", "--json"})
        .contains("warning");
  };
  EXPECT_FALSE(warns("2"));
  EXPECT_TRUE(warns("boot"));
}

TEST_F(WholeWay, PredictReadsPng) {
  const TrainTest data = read_source("synthetic:4x1x16x16");
  const Images& images = *data.test.images;
  const auto size = static_cast<std::size_t>(images.pixels_per_image());
  write_file_atomically(fresh("one.png"),
                        encode_png(std::span(images.pixels).first(size), images.shape));
  const json found = run_json(
      {"predict", (reference() / "bundle.fsb").string(), fresh("one.png").string(), "--json"});
  ASSERT_EQ(found.at("images").size(), 1u);
  EXPECT_GT(found.at("images")[0].at("probability"), 0.25);
  EXPECT_LT(found.at("images")[0].at("class"), 4);

  write_file_atomically(fresh("large.png"),
                        encode_png(std::vector<std::uint8_t>(20 * 20), {1, 20, 20}));
  const Finished refused =
      run_program({"predict", (reference() / "bundle.fsb").string(), fresh("large.png").string()});
  EXPECT_EQ(refused.code, 4);
  EXPECT_THAT(refused.err, HasSubstr("1 × 20 × 20"));
  EXPECT_THAT(refused.err, HasSubstr("-resize '16x16!' -colorspace Gray"));
}

TEST_F(WholeWay, PredictSaysWhatItCannotReadAndWhatItChanged) {
  const std::string bundle = (reference() / "bundle.fsb").string();
  write_file_atomically(fresh("photo.png"), "\xff\xd8\xff\xe0JFIF");
  const Finished photo = run_program({"predict", bundle, fresh("photo.png").string()});
  EXPECT_EQ(photo.code, 4);
  EXPECT_THAT(photo.err, HasSubstr("found a JPEG image, expected a PNG"));
  EXPECT_THAT(photo.err, HasSubstr("hint: convert it"));
  write_file_atomically(fresh("colour.png"),
                        encode_png(std::vector<std::uint8_t>(3 * 16 * 16, 9), {3, 16, 16}));
  const Finished mixed = run_program({"predict", bundle, fresh("colour.png").string(), "--json"});
  EXPECT_THAT(mixed.err, HasSubstr("mixed to gray"));
  EXPECT_THAT(json::parse(mixed.out).at("images")[0].at("note"), HasSubstr("mixed to gray"));
}

TEST_F(WholeWay, ClientsOfAnotherRunServeAgain) {
  const Finished same =
      run_program(small_job(fresh("reuse"), {"--clients-from", reference().string()}));
  ASSERT_EQ(same.code, 0) << same.err;
  EXPECT_EQ(student_of(fresh("reuse")), student_of(reference()));
  const Finished other =
      run_program(small_job(fresh("other"), {"--clients-from", reference().string(), "--set",
                                             "aggregation.rule=mean-prob"}));
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_NE(student_of(fresh("other")), student_of(reference()));
  EXPECT_EQ(report_of(fresh("other")).at("rules"), report_of(reference()).at("rules"));
  const Finished refused = run_program(
      small_job(fresh("refused"), {"--clients-from", reference().string(), "--seed", "5"}));
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err, HasSubstr("seed = "));
  EXPECT_THAT(refused.err, HasSubstr("asked for 5"));
  EXPECT_FALSE(std::filesystem::exists(fresh("refused")));
}

TEST_F(WholeWay, ClientsOfOneClassEach) {
  const Finished done =
      run_program(small_job(fresh("one-class"), {"--set", "clients.split=classes", "--set",
                                                 "clients.classes=1", "--set", "clients.count=4"}));
  ASSERT_EQ(done.code, 0) << done.err;
  for (const auto& client : report_of(fresh("one-class")).at("clients")) {
    const auto counts = client.at("class_counts").get<std::vector<std::int64_t>>();
    EXPECT_EQ(std::ranges::count(counts, 0), 3);
  }
}

TEST_F(WholeWay, ALiarIsMeasuredAndSurvived) {
  const Finished done = run_program(small_job(fresh("liar"), {"--set", "clients.liars=1"}));
  ASSERT_EQ(done.code, 0) << done.err;
  const json clients = report_of(fresh("liar")).at("clients");
  EXPECT_FALSE(clients[0].at("lies"));
  EXPECT_TRUE(clients[2].at("lies"));
}

}  // namespace
}  // namespace fedstill::tests
