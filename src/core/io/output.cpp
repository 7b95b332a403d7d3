// Refuses to overwrite inputs, and files and folders that this program did not write.
#include "core/io/output.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <utility>

#include "core/io/file.h"
#include "streamo/core/error.h"

namespace streamo::core {
namespace fs = std::filesystem;
namespace {

constexpr const char* kListHead = "written by streamo:";

[[noreturn]] void refuse(const std::string& what, const fs::path& path, const std::string& hint) {
  throw Error(ErrorKind::kUsage, what, path.string(), hint);
}

// Without links, dots and a closing slash; also of what is not there yet.
fs::path where_it_leads(const fs::path& path) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) refuse("cannot be reached: " + error.message(), path, "check the path");
  if (!real.has_filename()) real = real.parent_path();
  return real;
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  const auto [end, rest] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end() && rest != path.end();
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

// What write_own_directory() wrote into the folder; empty where it did not.
std::set<std::string> listed_in(const fs::path& folder) {
  std::ifstream list(folder / kFolderList);
  std::set<std::string> names;
  std::string line;
  if (!std::getline(list, line) || line != kListHead) return names;
  while (std::getline(list, line)) names.insert(line);
  names.insert(kFolderList);
  return names;
}

void write_list(const fs::path& folder) {
  std::string list = std::string(kListHead) + "\n";
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.insert(entry.path().filename().string());
  for (const std::string& name : names) list += name + "\n";
  write_file_atomic(folder / kFolderList, list);
}

// By hard links where the file system has them: at every moment the user's files are in a folder
// that bears its name. Throws core::Error{kDisk}.
void keep_what_is_the_users(const fs::path& before, const fs::path& now) {
  const std::set<std::string> ours = listed_in(before);
  for (const auto& entry : fs::directory_iterator(before)) {
    const fs::path name = entry.path().filename();
    if (ours.contains(name.string())) continue;
    if (is_there(now / name))
      refuse("a file is there that this program has not written", before / name,
             "move it elsewhere");
    constexpr auto kAll = fs::copy_options::recursive | fs::copy_options::copy_symlinks;
    std::error_code error;
    fs::copy(entry.path(), now / name, kAll | fs::copy_options::create_hard_links, error);
    if (!error) continue;
    fs::remove_all(now / name, error);
    fs::copy(entry.path(), now / name, kAll, error);
    if (!error) continue;
    throw Error(ErrorKind::kDisk,
                "cannot keep a file in the folder that is written anew: " + error.message(),
                entry.path().string(), "move it elsewhere and start again");
  }
}

}  // namespace

IsOurs holds_mark(std::string mark) {
  return [mark = std::move(mark)](const fs::path& path) {
    constexpr size_t kBeginning = 64 << 10;
    std::ifstream file(path, std::ios::binary);
    std::string beginning(kBeginning, '\0');
    file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
    beginning.resize(static_cast<size_t>(file.gcount()));
    return beginning.find(mark) != std::string::npos;
  };
}

bool is_same(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

fs::path output_file(const fs::path& path, const std::vector<fs::path>& inputs,
                     const IsOurs& is_ours) {
  const fs::path real = where_it_leads(path);
  for (const fs::path& input : inputs) {
    if (is_same(real, input))
      refuse("this is an input, and would be written over", path, "give the output another name");
  }
  std::error_code error;
  const fs::file_status status = fs::status(real, error);
  if (!fs::exists(status)) return real;
  if (!fs::is_regular_file(status)) {
    refuse(fs::is_directory(status) ? "this is a folder" : "this is no ordinary file", path,
           "give the name of a file to write");
  }
  if (fs::file_size(real, error) > 0 && !is_ours(real)) {
    refuse("a file is there that this command has not written", path,
           "give the output another name, or remove the file");
  }
  return real;
}

bool is_own_directory(const fs::path& path) {
  return !listed_in(path).empty();
}

fs::path output_directory(const fs::path& path, const std::vector<fs::path>& inputs,
                          const IsOurs& is_ours) {
  const fs::path real = where_it_leads(path);
  for (const fs::path& input : inputs) {
    const fs::path read = where_it_leads(input);
    if (is_same(real, read)) refuse("this is the input", path, "give the output another name");
    if (lies_in(real, read) || lies_in(read, real)) {
      refuse(lies_in(real, read) ? "lies in the input" : "the input lies in it", path,
             "give a folder apart from " + input.string());
    }
  }
  std::error_code error;
  const fs::file_status status = fs::status(real, error);
  if (!fs::exists(status)) return real;
  if (!fs::is_directory(status))
    refuse("something that is no folder is there", path, "give the name of a folder to make");
  const fs::directory_iterator entries(real, error);
  if (error) refuse("cannot be read: " + error.message(), path, "give another folder");
  if (entries != fs::directory_iterator() && !is_ours(real)) {
    refuse("a folder with files is there that this program has not written", path,
           "give a new or an empty folder");
  }
  return real;
}

void write_own_directory(const fs::path& path, const std::function<void(const fs::path&)>& fill) {
  const fs::path real = output_directory(path);
  write_directory_atomic(real, [&](const fs::path& folder) {
    fill(folder);
    write_list(folder);
    if (fs::exists(real)) keep_what_is_the_users(real, folder);
  });
}

}  // namespace streamo::core
