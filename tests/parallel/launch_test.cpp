// What the launchers' variables mean. Truth: the documents of torchrun, srun, Open MPI and MPICH.
#include "parallel/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "streamo/core/error.h"

namespace streamo::parallel {
namespace {

using Variables = std::map<std::string, std::string>;
using testing::HasSubstr;

Launch parse_launch(const Variables& variables) {
  return read_launch([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

std::string error_message(const Variables& variables) {
  try {
    parse_launch(variables);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kUsage);
    return error.what();
  }
  return "no error";
}

const Variables kTorchrun = {{"RANK", "3"},           {"WORLD_SIZE", "8"},
                             {"LOCAL_RANK", "1"},     {"LOCAL_WORLD_SIZE", "2"},
                             {"MASTER_ADDR", "node"}, {"MASTER_PORT", "29500"}};

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

Variables without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

TEST(Launch, NothingSetIsOneProcess) {
  EXPECT_EQ(parse_launch({}).world_size, 1);
  EXPECT_EQ(parse_launch({{"SLURM_NTASKS", "8"}, {"SLURM_JOB_ID", "5"}}).world_size, 1);  // no srun
  EXPECT_EQ(parse_launch({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).world_size, 1);
}

TEST(Launch, OneMachineIsWhatTheLauncherSays) {
  EXPECT_FALSE(parse_launch(kTorchrun).one_machine);
  EXPECT_TRUE(parse_launch(with(kTorchrun, "LOCAL_WORLD_SIZE", "8")).one_machine);
  // The last rank must not take the ranks below it for all.
  EXPECT_FALSE(parse_launch(without(with(with(kTorchrun, "RANK", "7"), "LOCAL_RANK", "7"),
                                    "LOCAL_WORLD_SIZE"))
                   .one_machine);
  const Variables slurm = {{"SLURM_PROCID", "1"},    {"SLURM_STEP_NUM_TASKS", "2"},
                           {"SLURM_LOCALID", "1"},   {"MASTER_ADDR", "a"},
                           {"MASTER_PORT", "29500"}, {"SLURM_STEP_NUM_NODES", "1"}};
  EXPECT_TRUE(parse_launch(slurm).one_machine);
  EXPECT_FALSE(parse_launch(with(slurm, "SLURM_STEP_NUM_NODES", "2")).one_machine);
  EXPECT_FALSE(parse_launch(without(slurm, "SLURM_STEP_NUM_NODES")).one_machine);
}

TEST(Launch, TheSecretOfTheRun) {
  EXPECT_EQ(parse_launch(kTorchrun).secret, "");
  EXPECT_EQ(parse_launch(with(kTorchrun, "STREAMO_RUN_SECRET", "a b")).secret, "a b");
}

TEST(Launch, ReadsTorchrun) {
  const Launch launch = parse_launch(with(with(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE", "True"),
                                          "TORCHELASTIC_RESTART_COUNT", "2"));
  EXPECT_EQ(launch.rank, 3);
  EXPECT_EQ(launch.world_size, 8);
  EXPECT_EQ(launch.local_rank, 1);
  EXPECT_EQ(launch.local_world_size, 2);
  EXPECT_EQ(launch.master_address, "node");
  EXPECT_EQ(launch.master_port, 29500);
  EXPECT_TRUE(launch.agent_serves_store);
  EXPECT_EQ(launch.restart, 2);
}

TEST(Launch, ReadsSrunAndMpirun) {
  const Variables slurm = {{"SLURM_PROCID", "5"},     {"SLURM_STEP_NUM_TASKS", "6"},
                           {"SLURM_LOCALID", "1"},    {"SLURM_STEP_TASKS_PER_NODE", "2(x3)"},
                           {"SLURM_JOB_ID", "16001"}, {"SLURM_LAUNCH_NODE_IPADDR", "10.0.0.1"}};
  const Launch by_srun = parse_launch(slurm);
  EXPECT_EQ(by_srun.rank, 5);
  EXPECT_EQ(by_srun.local_rank, 1);
  EXPECT_EQ(by_srun.master_address, "10.0.0.1");
  EXPECT_EQ(by_srun.master_port, 15001);
  EXPECT_EQ(parse_launch(with(slurm, "MASTER_PORT", "7000")).master_port, 7000);
  const Launch by_mpirun = parse_launch({{"OMPI_COMM_WORLD_RANK", "1"},
                                         {"OMPI_COMM_WORLD_SIZE", "2"},
                                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                         {"MASTER_ADDR", "127.0.0.1"},
                                         {"MASTER_PORT", "4000"}});
  EXPECT_EQ(by_mpirun.launcher, "Open MPI");
  EXPECT_EQ(by_mpirun.rank, 1);
  EXPECT_EQ(by_mpirun.master_port, 4000);
}

// mpirun in a shell of srun --pty, or whose daemons srun started; and srun --mpi=pmi2.
TEST(Launch, TheInnermostOfTwoLaunchersCounts) {
  const Variables shell = {{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}};
  Variables open_mpi = {{"OMPI_COMM_WORLD_RANK", "1"},       {"OMPI_COMM_WORLD_SIZE", "4"},
                        {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                        {"MASTER_ADDR", "127.0.0.1"},        {"MASTER_PORT", "4000"}};
  Variables mpich = {{"PMI_RANK", "1"},
                     {"PMI_SIZE", "4"},
                     {"MPI_LOCALRANKID", "1"},
                     {"MASTER_ADDR", "127.0.0.1"},
                     {"MASTER_PORT", "4000"}};
  open_mpi.insert(shell.begin(), shell.end());
  mpich.insert(shell.begin(), shell.end());
  EXPECT_EQ(parse_launch(open_mpi).launcher, "Open MPI");
  EXPECT_EQ(parse_launch(with(open_mpi, "SLURM_STEP_NUM_TASKS", "3")).world_size, 4);
  EXPECT_EQ(parse_launch(mpich).launcher, "MPICH");
  const Variables pmi2 = {{"SLURM_STEP_NUM_TASKS", "4"},
                          {"SLURM_PROCID", "2"},
                          {"SLURM_LOCALID", "2"},
                          {"PMI_SIZE", "4"},
                          {"PMI_RANK", "2"},
                          {"MPI_LOCALRANKID", "2"},
                          {"MASTER_ADDR", "127.0.0.1"},
                          {"MASTER_PORT", "4000"}};
  EXPECT_EQ(parse_launch(pmi2).launcher, "Slurm");
  EXPECT_THAT(error_message(with(pmi2, "PMI_SIZE", "8")),
              HasSubstr("SLURM_STEP_NUM_TASKS=4 and PMI_SIZE=8 contradict"));
}

TEST(Launch, MissingAndContradictingVariablesAreNamed) {
  for (const auto& [name, value] : kTorchrun) {
    if (name == "LOCAL_WORLD_SIZE") continue;  // the one that can be done without
    EXPECT_THAT(error_message(without(kTorchrun, name)),
                HasSubstr(name + ": a variable of the launch is missing"));
  }
  EXPECT_THAT(error_message(with(kTorchrun, "RANK", "8")),
              HasSubstr("RANK=8 is not below WORLD_SIZE=8"));
  EXPECT_THAT(error_message(with(kTorchrun, "RANK", "-1")), HasSubstr("\"-1\" is no number"));
  EXPECT_THAT(error_message(with(kTorchrun, "MASTER_PORT", "29500x")), HasSubstr("MASTER_PORT"));
  EXPECT_THAT(error_message(with(kTorchrun, "MASTER_PORT", "70000")), HasSubstr("from 1 to 65535"));
  EXPECT_THAT(error_message(with(kTorchrun, "LOCAL_RANK", "2")), HasSubstr("contradict"));
  EXPECT_THAT(error_message(with(kTorchrun, "LOCAL_WORLD_SIZE", "9")), HasSubstr("contradict"));
  EXPECT_THAT(error_message({{"OMPI_COMM_WORLD_RANK", "1"},
                             {"OMPI_COMM_WORLD_SIZE", "2"},
                             {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}}),
              HasSubstr("MASTER_ADDR: a variable of the launch is missing"));
}

}  // namespace
}  // namespace streamo::parallel
