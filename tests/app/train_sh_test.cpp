// What train.sh makes of the variables of who started it. Truth: the documents of torchrun, srun
// and Open MPI, for the processes that each should have started. The program is a stand-in that
// says which process of the run it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "support/command_folder.h"

namespace streamo {
namespace {

namespace fs = std::filesystem;
using test::CommandResult;
using testing::HasSubstr;

class TrainSh : public testing::Test {
 protected:
  void SetUp() override {
    fs::copy(fs::path(STREAMO_SOURCE_DIR) / "train.sh", folder_ / "train.sh");
    folder_.write("config.json", "{}");
    for (const char* name : {"scripts", "build", "bin"}) fs::create_directory(folder_ / name);
    write_script("scripts/setup.sh", "");
    write_script("scripts/build.sh", "");
    write_script(
        "build/streamo",
        "echo ${RANK-none}/${WORLD_SIZE-none} ${LOCAL_RANK-none}/${LOCAL_WORLD_SIZE-none}");
    with_gpus(0);
  }
  void write_script(const std::string& path, const std::string& body) const {
    folder_.write(path, "#!/bin/bash\n" + body + "\n");
    fs::permissions(folder_ / path, fs::perms::owner_all);
  }
  void with_gpus(int count) const {
    write_script("bin/nvidia-smi", "for ((i = 0; i < " + std::to_string(count) +
                                       "; ++i)); do echo \"GPU $i: a card\"; done");
  }
  CommandResult start(const std::string& variables) const {
    return folder_.run("env -u CUDA_VISIBLE_DEVICES PATH=$PWD/bin:$PATH " + variables +
                       " bash train.sh config.json");
  }
  // "rank/of all local rank/of this machine", of each process that was started.
  std::vector<std::string> processes(const std::string& variables) const {
    const CommandResult result = start(variables);
    EXPECT_EQ(result.exit_code, 0) << variables << ": " << result.err;
    std::vector<std::string> lines;
    std::istringstream text(result.out);
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  const test::CommandFolder folder_{"train.sh"};
};

using Lines = std::vector<std::string>;
const Lines kAlone = {"none/none none/none"};  // this process itself, as its launcher says
const Lines kTwo = {"0/2 0/2", "1/2 1/2"};
const std::string kOneTask = "SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0 SLURM_STEP_TASKS_PER_NODE=1 ";

TEST_F(TrainSh, AUserStartsAsManyAsThereAreGpusOrAsAsked) {
  EXPECT_EQ(processes(""), Lines{"0/1 0/1"});
  EXPECT_EQ(processes("NPROC_PER_NODE=2"), kTwo);
  EXPECT_EQ(processes("NNODES=2 NODE_RANK=1 NPROC_PER_NODE=2 MASTER_ADDR=node0"),
            (Lines{"2/4 0/2", "3/4 1/2"}));
  with_gpus(4);
  EXPECT_EQ(processes("").size(), 4u);
  EXPECT_EQ(processes("NPROC_PER_NODE=1"), Lines{"0/1 0/1"});
  EXPECT_EQ(processes("CUDA_VISIBLE_DEVICES=1,3"), kTwo);
  EXPECT_EQ(processes("CUDA_VISIBLE_DEVICES="), Lines{"0/1 0/1"});
  EXPECT_EQ(processes("CUDA_VISIBLE_DEVICES=0,-1,2"), Lines{"0/1 0/1"});  // CUDA stops at the -1
}

TEST_F(TrainSh, AShellOfSlurmStartsAsAskedAndSaysSo) {
  EXPECT_EQ(processes(kOneTask), kAlone);
  EXPECT_EQ(processes(kOneTask + "NPROC_PER_NODE=2"), kTwo);
  EXPECT_EQ(processes(kOneTask + "NPROC_PER_NODE=2 PMI_SIZE=1 PMI_RANK=0"), kTwo);
  EXPECT_EQ(processes(kOneTask + "NPROC_PER_NODE=1 NNODES=2 NODE_RANK=1 MASTER_ADDR=node0"),
            Lines{"1/2 0/1"});
  with_gpus(2);
  EXPECT_EQ(processes(kOneTask), kTwo);
  EXPECT_THAT(start(kOneTask).err,
              HasSubstr("srun started one process on this machine, it starts 2"));
}

TEST_F(TrainSh, OneTaskOnEachMachineStartsThoseOfItsMachine) {
  const std::string second =
      "SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1 'SLURM_STEP_TASKS_PER_NODE=1(x2)' MASTER_ADDR=node0 ";
  EXPECT_EQ(processes(second), kAlone);
  EXPECT_EQ(processes(second + "NPROC_PER_NODE=2"), (Lines{"2/4 0/2", "3/4 1/2"}));
  EXPECT_EQ(processes("OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_LOCAL_SIZE=1 "
                      "MASTER_ADDR=node0 NPROC_PER_NODE=2"),
            (Lines{"0/4 0/2", "1/4 1/2"}));
}

TEST_F(TrainSh, WhatALauncherStartedIsOneOfItsProcesses) {
  with_gpus(4);
  const std::string srun =
      "SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=1 'SLURM_STEP_TASKS_PER_NODE=2(x2)' ";
  EXPECT_EQ(processes(srun), kAlone);
  EXPECT_EQ(processes(srun + "NPROC_PER_NODE=2 NNODES=2"), kAlone);
  EXPECT_EQ(processes("RANK=1 WORLD_SIZE=4 LOCAL_RANK=1 LOCAL_WORLD_SIZE=4 NPROC_PER_NODE=4"),
            Lines{"1/4 1/4"});
  EXPECT_EQ(processes("RANK=0 WORLD_SIZE=1 LOCAL_RANK=0 LOCAL_WORLD_SIZE=1"), Lines{"0/1 0/1"});
  EXPECT_EQ(processes("OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=2 "
                      "OMPI_COMM_WORLD_LOCAL_SIZE=4 " +
                      kOneTask),
            kAlone);
  EXPECT_EQ(processes("PMI_SIZE=4 PMI_RANK=1 " + kOneTask), kAlone);
}

TEST_F(TrainSh, ContradictionsAreRefusedWithTheirNames) {
  struct Case {
    std::string variables, place, what;
  };
  const std::string torchrun = "RANK=0 WORLD_SIZE=4 LOCAL_RANK=0 LOCAL_WORLD_SIZE=4 ";
  const std::string two_each =
      "SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=1 'SLURM_STEP_TASKS_PER_NODE=2(x2)' ";
  const std::vector<Case> cases = {
      {"NPROC_PER_NODE=0", "NPROC_PER_NODE", "is no number"},
      {"NPROC_PER_NODE=08", "NPROC_PER_NODE", "is no number"},
      {"NNODES=1:4", "NNODES", "is no number"},
      {"NODE_RANK=1", "NODE_RANK, NNODES", "NODE_RANK=1 is not below NNODES=1"},
      {"NNODES=2", "MASTER_ADDR", "not set"},
      {torchrun + "NPROC_PER_NODE=2", "NPROC_PER_NODE, LOCAL_WORLD_SIZE",
       "NPROC_PER_NODE=2 contradicts LOCAL_WORLD_SIZE=4, of torchrun"},
      {"RANK=0 WORLD_SIZE=1 NPROC_PER_NODE=2", "NPROC_PER_NODE, WORLD_SIZE", "contradicts"},
      {torchrun + "NNODES=2", "NNODES, WORLD_SIZE", "NNODES=2 contradicts WORLD_SIZE=4"},
      {two_each + "NPROC_PER_NODE=4", "NPROC_PER_NODE, SLURM_STEP_TASKS_PER_NODE", "2(x2)"},
      {two_each + "NNODES=4", "NNODES, SLURM_STEP_NUM_TASKS", "contradicts"},
      {"SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1 'SLURM_STEP_TASKS_PER_NODE=1(x2)' NPROC_PER_NODE=4 "
       "NNODES=3",
       "NNODES, SLURM_STEP_NUM_TASKS", "NNODES=3 contradicts SLURM_STEP_NUM_TASKS=2"}};
  for (const Case& wrong : cases) {
    const CommandResult result = start(wrong.variables);
    EXPECT_EQ(result.exit_code, 2) << wrong.variables << "\n" << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr("error: " + wrong.place + ": ")) << wrong.variables;
    EXPECT_THAT(result.err, HasSubstr(wrong.what)) << wrong.variables;
    EXPECT_THAT(result.err, HasSubstr("\n  hint: ")) << wrong.variables;
  }
}

// Of train.sh and of every script: the form of the program's own messages.
TEST_F(TrainSh, ErrorsHaveAPlaceAndAHintOnStderr) {
  const std::string source = STREAMO_SOURCE_DIR;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"bash train.sh missing.json", "error: missing.json: there is no such config file\n  hint: "},
      {"bash " + source + "/scripts/build.sh --fast", "error: --fast: unknown option\n  hint: "},
      {"env -u SLURM_JOB_ID bash " + source + "/scripts/slurm.sh config.json",
       "error: SLURM_JOB_ID: this is no job of Slurm\n  hint: "},
      {"STREAMO_BINARY=/nowhere python3 " + source +
           "/scripts/convert_streaming_video.py to-stream --input a --output b",
       "error: /nowhere: the program is not built\n  hint: "}};
  for (const auto& [command, message] : cases) {
    const CommandResult result = folder_.run(command);
    EXPECT_NE(result.exit_code, 0) << command;
    EXPECT_EQ(result.out, "") << command;
    EXPECT_THAT(result.err, HasSubstr(message)) << command;
  }
}

}  // namespace
}  // namespace streamo
