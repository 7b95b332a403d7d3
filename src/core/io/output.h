// Where a command may write: never over something it reads, nor over what it has not written.
//
// Files of ours are known by a mark that stands in them, folders by a list of what was written
// there (kFolderList); a name alone proves nothing.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace streamo::core {

// Of the help of options that name a file to write.
inline constexpr const char* kReplaced =
    "; a file of that name is replaced if this command wrote it, else refused";

using IsOurs = std::function<bool(const std::filesystem::path&)>;
// A file in whose first bytes this text stands.
IsOurs holds_mark(std::string mark);

// Whether both are one file or folder, by whatever name: other spellings, links, hard links.
bool is_same(const std::filesystem::path& a, const std::filesystem::path& b);

// The file that is written for `path`: where a link leads. Throws core::Error{kUsage} naming it
// when it is one of the inputs or lies in its place, when something else than a file is there, or a
// file that is not ours; an empty one is nobody's. For the beginning of a command, before it works.
std::filesystem::path output_file(const std::filesystem::path& path,
                                  const std::vector<std::filesystem::path>& inputs,
                                  const IsOurs& is_ours);

inline constexpr const char* kFolderList = ".streamo-files";

// The folder that is written for `path`. Throws core::Error{kUsage} when it is, holds, or lies in
// one of the input folders, or when something is there that is neither an empty folder nor ours: of
// write_own_directory(), unless the command knows its own by something else.
bool is_own_directory(const std::filesystem::path& path);
std::filesystem::path output_directory(const std::filesystem::path& path,
                                       const std::vector<std::filesystem::path>& inputs = {},
                                       const IsOurs& is_ours = is_own_directory);

// As write_directory_atomic(), with a list of what `fill` wrote. A folder that is there must be
// ours (output_directory); what else a user has put into it stays.
void write_own_directory(const std::filesystem::path& path,
                         const std::function<void(const std::filesystem::path&)>& fill);

}  // namespace streamo::core
