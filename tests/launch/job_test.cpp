#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "launch/input.h"
#include "launch/job_check.h"
#include "launch/job_file.h"
#include "launch/machine.h"
#include "launch/settings.h"
#include "model/atomic_file.h"
#include "tests/support/error_of.h"

namespace fedstill {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string error_of(const std::string& toml) {
  Job job;
  return tests::error_of<JobError>([&] { apply_toml(job, toml, "my.toml"); });
}

std::string error_of_assignment(const std::string& assignment) {
  Job job;
  return tests::error_of<JobError>([&] { apply_assignment(job, assignment); });
}

template <typename Check>
std::string error_of_check(const Check& check) {
  return tests::error_of<JobError>(check);
}

// A value of every setting that differs from the default and is allowed.
void change_everything(Job& job) {
  for (auto& setting : settings_of(job)) {
    if (auto* const* number = std::get_if<std::int64_t*>(&setting.value)) **number += 2;
    if (auto* const* real = std::get_if<double*>(&setting.value)) {
      **real = (setting.low + std::min(setting.high, 1e6)) * 0.37 + 1e-7;
    }
    if (auto* const* flag = std::get_if<bool*>(&setting.value)) **flag = !**flag;
    if (auto* const* text = std::get_if<std::string*>(&setting.value)) {
      **text = setting.choices.empty() ? "idx:/a \"b\" \\c" : std::string(setting.choices.back());
    }
    if (auto* const* list = std::get_if<std::vector<std::string>*>(&setting.value)) {
      **list = {std::string(setting.choices.back()), std::string(setting.choices.front())};
    }
  }
}

TEST(JobFile, MayHoldOtherCharactersOnlyInStringsAndComments) {
  Job job;
  apply_toml(job, "\xEF\xBB\xBF# é\n[data]\nsource = \"idx:/\\\"ü#\" # ü\n", "a");
  EXPECT_EQ(job.data.source, "idx:/\"ü#");
  apply_toml(job, "[data]\nsource = 'idx:/\\ü' # it's\n", "a");
  EXPECT_EQ(job.data.source, "idx:/\\ü");
  EXPECT_THAT(error_of("[head]\nbatch = 7\uFEFB\n"),
              HasSubstr("[job] my.toml:2: found a character that is not ASCII"));
  EXPECT_THAT(error_of("[data]\nsource = 'a\né'\n"), HasSubstr("my.toml:3"));
  apply_toml(job, "[data]\nsource = 'idx:/\\\"\uFCFF\U0001F600' # it's\n", "a");
  EXPECT_EQ(job.data.source, "idx:/\\\"\uFCFF\U0001F600");
  for (const char* inside : {"batch = 7\"\uFCFF\"", "b\"\uFCFF\" = 7", "b = 0bb=['_\uFEFF"}) {
    EXPECT_THAT(error_of("[head]\n" + std::string(inside) + "\n"), HasSubstr("my.toml:2: "));
  }
  EXPECT_THAT(error_of("[head]\nform = \"\xff\"\n"), HasSubstr("bytes that are not UTF-8"));
  EXPECT_THAT(error_of("[head]\nform = \"\\é\"\n"), HasSubstr("found a backslash before"));
  apply_toml(job, "[data]\nsource = \"idx:/\\\\é\"\n", "a");
  EXPECT_EQ(job.data.source, "idx:/\\é");
  apply_toml(job, "[clients]\nmodels = [ # two\n  'mlp', \"cnn3\",\n]\n", "a");
  EXPECT_EQ(job.clients.models, (std::vector<std::string>{"mlp", "cnn3"}));
  for (const char* quotes : {"\"\"\"", "\'\'\'"}) {
    EXPECT_THAT(error_of("[data]\nsource = " + std::string(quotes) + "\\\n§" + quotes + "\n"),
                HasSubstr("my.toml:2: found a string of several lines"));
  }
  EXPECT_THAT(error_of_assignment("data.source=\"\"\"\\\n§\"\"\""),
              HasSubstr("is not a TOML value"));
}

TEST(JobFile, SetsWhatItNamesAndLeavesTheRest) {
  Job job;
  apply_toml(
      job, "[data]\nprivate = 1_000\n[clients]\nmodels = [\"mlp\"]\nalpha = 1\nflip = true\n", "a");
  EXPECT_EQ(job.data.private_count, 1000);
  EXPECT_EQ(job.clients.models, std::vector<std::string>{"mlp"});
  EXPECT_EQ(job.clients.alpha, 1.0);
  EXPECT_TRUE(job.clients.flip);
  EXPECT_EQ(job.data.pool, Job{}.data.pool);
}

TEST(JobFile, SuggestsTheKeyThatWasMeant) {
  EXPECT_THAT(error_of("[clients]\n\ncuont = 3\n"),
              AllOf(HasSubstr("[job] my.toml:3:"), HasSubstr("unknown key clients.cuont"),
                    HasSubstr("did you mean clients.count?")));
  EXPECT_THAT(error_of("[cleints]\ncount = 3\n"),
              AllOf(HasSubstr("my.toml:1:"), HasSubstr("[cleints]"), HasSubstr("clients")));
  EXPECT_THAT(error_of("seed = 3\n"), HasSubstr("unknown key seed"));
  EXPECT_THAT(error_of("[clients]\nzzzzzzzzzzzz = 3\n"), Not(HasSubstr("did you mean")));
}

TEST(JobFile, RefusesWrongTypes) {
  EXPECT_THAT(error_of("[clients]\ncount = \"ten\"\n"),
              AllOf(HasSubstr("my.toml:2:"), HasSubstr("clients.count is a string"),
                    HasSubstr("expected an integer")));
  EXPECT_THAT(error_of("[clients]\ncount = 2.5\n"), HasSubstr("expected an integer"));
  EXPECT_THAT(error_of("[clients]\nalpha = true\n"), HasSubstr("expected a number"));
  EXPECT_THAT(error_of("[clients]\nflip = 1\n"), HasSubstr("expected true or false"));
  EXPECT_THAT(error_of("[clients]\nmodels = \"mlp\"\n"), HasSubstr("expected a list of strings"));
  EXPECT_THAT(error_of("[clients]\nmodels = [1]\n"), HasSubstr("expected a list of strings"));
  EXPECT_THAT(error_of("[data]\nsource = 3\n"), HasSubstr("expected a string"));
  EXPECT_THAT(error_of("data = 3\n"), HasSubstr("expected a section [data]"));
}

TEST(JobFile, RefusesValuesOutOfRange) {
  EXPECT_THAT(
      error_of("[clients]\ncount = 0\n"),
      AllOf(HasSubstr("my.toml:2:"), HasSubstr("clients.count = 0"), HasSubstr("expected 1")));
  EXPECT_THAT(error_of("[data]\npool = 0\n"), HasSubstr("data.pool = 0"));
  EXPECT_THAT(error_of("[clients]\nalpha = nan\n"), HasSubstr("clients.alpha"));
  EXPECT_THAT(error_of("[clients]\nlearning_rate = inf\n"),
              HasSubstr("expected 0 or more and finite"));
  EXPECT_THAT(error_of("[clients]\nlearning_rate = -1\n"), HasSubstr("expected 0 or more"));
  EXPECT_THAT(error_of("[clients]\nmodels = []\n"), HasSubstr("is empty"));
  EXPECT_THAT(error_of("[compression]\nminimum_agreement = 1.5\n"), HasSubstr("expected 0 to 1"));
}

TEST(JobFile, ListsTheKnownNames) {
  EXPECT_THAT(error_of("[aggregation]\nrule = \"bounded-ods\"\n"),
              AllOf(HasSubstr("did you mean bounded-odds?"), HasSubstr("mean-prob")));
  EXPECT_THAT(error_of("[clients]\nmodels = [\"lenet5\", \"resnet9\"]\n"),
              AllOf(HasSubstr("\"resnet9\" is not known"), HasSubstr("vgg-small")));
  EXPECT_THAT(error_of("[distillation]\nstudent = \"transformer\"\n"), HasSubstr("cnn3"));
  EXPECT_THAT(error_of("[pool]\nsource = \"web\"\n"), HasSubstr("split"));
}

TEST(JobFile, SaysWhereTheTomlIsBroken) {
  EXPECT_THAT(error_of("[clients]\ncount = = 3\n"), HasSubstr("[job] my.toml:2:"));
  EXPECT_THAT(error_of("[clients]\ncount = 3\ncount = 4\n"), HasSubstr("[job] my.toml:"));
}

TEST(JobFile, ReadsBackWhatItWrites) {
  Job job;
  EXPECT_EQ(write_job([] {
              Job back;
              apply_toml(back, write_job(Job{}), "x");
              return back;
            }()),
            write_job(Job{}));
  change_everything(job);
  Job back;
  apply_toml(back, write_job(job), "written");
  EXPECT_EQ(job_json(back), job_json(job));
  EXPECT_NE(job_json(back), job_json(Job{}));
  EXPECT_EQ(write_job(back), write_job(job));
}

TEST(JobFile, ReadsBackControlCharacters) {
  Job job, back;
  job.data.source = "mnist:/a\n\tb\x01\x7f\"\\ü";
  apply_toml(back, write_job(job), "written");
  EXPECT_EQ(back.data.source, job.data.source);
}

TEST(JobFile, WritesEveryKeyWithAComment) {
  Job job;
  const std::string text = write_job(job);
  for (const auto& setting : settings_of(job)) {
    EXPECT_THAT(text, HasSubstr(std::string(setting.key) + " = " + toml_value(setting)));
  }
  EXPECT_THAT(text, HasSubstr("# "));
}

TEST(JobFile, NoDamageDoesMoreThanAJobError) {
  const std::string good = write_job(Job{});
  const auto survives = [](const std::string& text) {
    Job job;
    try {
      apply_toml(job, text, "damaged");
    } catch (const JobError&) {
    }
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    survives(good.substr(0, i));
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x15);
    survives(flipped);
  }
}

TEST(JobFile, TheReferenceShowsTheDefaultJob) {
  const auto bytes = read_file(std::string(FEDSTILL_SOURCE_DIR) + "/docs/job.md", 1 << 20);
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_THAT(text, HasSubstr(write_job(Job{})))
      << "put the output of fedstill simulate --print-job into docs/job.md";
}

TEST(JobFile, AMissingFileIsAnInputError) {
  Job job;
  EXPECT_THROW(apply_job_file(job, "/nowhere/job.toml"), InputError);
}

TEST(Assignment, ANumberBeyond64BitsIsRefused) {
  Job job;
  EXPECT_THROW(apply_assignment(job, "run.seed=9223372036854775808"), JobError);
}

TEST(Assignment, TakesTomlAndBareWords) {
  Job job;
  for (const char* assignment :
       {"clients.count=4", "clients.models=mlp,cnn3", "data.source=mnist:/a=b",
        "aggregation.rule=\"entropy\"", "clients.flip=true", "distillation.learning_rate=1e-2"}) {
    apply_assignment(job, assignment);
  }
  EXPECT_EQ(job.clients.count, 4);
  EXPECT_EQ(job.clients.models, (std::vector<std::string>{"mlp", "cnn3"}));
  EXPECT_EQ(job.data.source, "mnist:/a=b");
  EXPECT_EQ(job.aggregation.rule, "entropy");
  EXPECT_TRUE(job.clients.flip);
  EXPECT_EQ(job.distillation.learning_rate, 0.01);
  apply_assignment(job, "clients.models=[\"lenet5\"]");
  EXPECT_EQ(job.clients.models, std::vector<std::string>{"lenet5"});
}

TEST(Assignment, RefusesWhatAFileWouldRefuse) {
  EXPECT_THAT(error_of_assignment("clients.cuont=4"),
              AllOf(HasSubstr("--set clients.cuont=4"), HasSubstr("did you mean clients.count?")));
  EXPECT_THAT(error_of_assignment("clients.count"), HasSubstr("expected section.key=value"));
  EXPECT_THAT(error_of_assignment("clients.count=four"), HasSubstr("not a TOML value"));
  EXPECT_THAT(error_of_assignment("clients.count=0"), HasSubstr("expected 1"));
  EXPECT_THAT(error_of_assignment("clients.count=1\nclients=2"), HasSubstr("--set"));
}

TEST(JobCheck, FindsContradictions) {
  const auto with = [](auto change) {
    return error_of_check([&] {
      Job job;
      change(job);
      check_job(job);
    });
  };
  EXPECT_EQ(with([](Job&) {}), "no error");
  EXPECT_THAT(with([](Job& j) { j.clients.minimum = 5000; }), HasSubstr("data.private"));
  EXPECT_THAT(with([](Job& j) { j.data.pool = 100; }), HasSubstr("distillation.batch"));
  EXPECT_THAT(with([](Job& j) { j.clients.liars = 11; }), HasSubstr("clients.liars"));
  EXPECT_THAT(with([](Job& j) { j.head.batch = 7; }), HasSubstr("even"));
  EXPECT_THAT(with([](Job& j) { j.round.minimum = 11; }),
              HasSubstr("round.minimum = 11, but clients.count is 10"));
  EXPECT_THAT(with([](Job& j) { j.compression.images = 15'001; }),
              HasSubstr("compression.images = 15001, but data.pool is 15000"));
  EXPECT_THAT(with([](Job& j) { j.run.device = "gpu"; }),
              AllOf(HasSubstr("run.device"), HasSubstr("cpu, cuda or cuda:N")));
}

// Defaults are for larger jobs, too: then they mean all there are.
TEST(JobCheck, ADefaultMayBeMoreThanThereIs) {
  Job job;
  job.clients.count = 1;
  job.data.pool = 1000;
  EXPECT_GT(job.round.minimum, job.clients.count);
  EXPECT_GT(job.compression.images, job.data.pool);
  EXPECT_NO_THROW(check_job(job));
}

Dataset dataset(std::int64_t count, std::int64_t side) {
  Dataset data;
  data.images = std::make_shared<Images>(Images{
      {1, side, side}, std::vector<std::uint8_t>(static_cast<std::size_t>(count * side * side))});
  data.labels.resize(static_cast<std::size_t>(count));
  data.class_names = {"a", "b"};
  return data;
}

TEST(JobCheck, HoldsTheJobAgainstTheData) {
  const auto with = [](auto change, const Dataset& data) {
    return error_of_check([&] {
      Job job;
      job.data = {"x", 600, 300, 100};
      change(job);
      check_job_against(job, data);
    });
  };
  const Dataset thousand = dataset(1000, 28);
  EXPECT_EQ(with([](Job&) {}, thousand), "no error");
  EXPECT_THAT(with([](Job& j) { j.data.pool = 301; }, thousand),
              AllOf(HasSubstr("1001 images"), HasSubstr("has 1000")));
  EXPECT_THAT(with(
                  [](Job& j) {
                    j.clients.split = "classes";
                    j.clients.classes = 3;
                  },
                  thousand),
              HasSubstr("has 2 classes"));
  EXPECT_THAT(with([](Job&) {}, dataset(1000, 8)),
              AllOf(HasSubstr("clients.models"), HasSubstr("does not fit")));
}

TEST(JobCheck, ResolvesWhatTheMachineDecides) {
  Job job;
  resolve_machine(job);
  EXPECT_GE(job.run.workers, 1);
  EXPECT_GE(job.run.threads, 1);
  EXPECT_GE(job.run.memory_mb, 1);
  job.run.threads = 3;
  resolve_machine(job);
  EXPECT_EQ(job.run.threads, 3);
  Job on_gpu;
  on_gpu.run.device = "cuda";
  resolve_machine(on_gpu);
  EXPECT_EQ(on_gpu.run.memory_mb, 0);  // of the GPU: known when it is open
}

// Clients that take several cores leave the workers of other stages alone.
TEST(JobCheck, ThreadsOfTheClientsAreNotThoseOfOtherStages) {
  Job job;
  job.clients.threads = usable_cores() + 1;
  EXPECT_NO_THROW(check_job(job));
  resolve_machine(job);
  EXPECT_EQ(job.run.workers, usable_cores());
}

TEST(JobCheck, MemoryIsThatOfTheDevice) {
  Job job;
  job.run.memory_mb = 4000;
  move_to_device(job, "cpu");
  EXPECT_EQ(job.run.memory_mb, 4000);
  move_to_device(job, "cuda:1");
  EXPECT_EQ(job.run.memory_mb, 0);
  job.run.memory_mb = 70'000;
  move_to_device(job, "cuda");
  EXPECT_EQ(job.run.memory_mb, 70'000);
  move_to_device(job, "cpu");
  EXPECT_EQ(job.run.memory_mb, 0);
  EXPECT_EQ(job.run.device, "cpu");
}

TEST(JobHash, DependsOnWhatChangesTheResultOnly) {
  Job job;
  const std::string hash = job_hash(job);
  EXPECT_EQ(hash.size(), 64u);
  job.run.workers = 7;
  job.run.memory_mb = 100;
  job.run.device = "cuda";
  EXPECT_EQ(job_hash(job), hash);
  job.aggregation.rule = "entropy";
  EXPECT_NE(job_hash(job), hash);
}

TEST(JobHash, LaterRoundsCountOnlyWhereThereAreSome) {
  Job job;
  const std::string hash = job_hash(job);
  job.round.epochs = 9;
  EXPECT_EQ(job_hash(job), hash);
  job.round.count = 2;
  const std::string two = job_hash(job);
  EXPECT_NE(two, hash);
  job.round.epochs = 8;
  EXPECT_NE(job_hash(job), two);
}

TEST(Preset, QuickIsTheDefaultAndFullTrainsLonger) {
  EXPECT_EQ(job_json(make_preset("quick")), job_json(Job{}));
  EXPECT_GT(make_preset("full").distillation.epochs, Job{}.distillation.epochs);
  EXPECT_THAT(error_of_check([] { make_preset("fulll"); }), HasSubstr("did you mean full?"));
}

}  // namespace
}  // namespace fedstill
