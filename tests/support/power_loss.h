// What a disk may hold after the power was lost at any moment of a recorded piece of work: POSIX's
// promise and no more. Only what was flushed is sure. What was not may be there or not, in any
// order: the content of each file, each change of a folder's entries (a rename is one change).
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/system_calls.h"

namespace streamo::test {

// Content of each path; none: a folder.
using FileTree = std::map<std::filesystem::path, std::optional<std::string>>;

inline FileTree read_tree(const std::filesystem::path& folder) {
  FileTree tree;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    auto& content = tree[entry.path().lexically_relative(folder)];
    if (entry.is_directory()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    content.emplace(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return tree;
}

inline void write_tree(const FileTree& tree, const std::filesystem::path& folder) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for (const auto& [path, content] : tree) {  // a folder stands before what is in it
    if (content) {
      std::ofstream(folder / path, std::ios::binary) << *content;
    } else {
      std::filesystem::create_directory(folder / path);
    }
  }
}

class ModelDisk {
 public:
  explicit ModelDisk(const FileTree& flushed) {
    for (const auto& [path, content] : flushed) {
      const size_t node = add_node(!content);
      nodes_[node].now = nodes_[node].flushed = content.value_or("");
      const size_t parent = find(path.parent_path()).value();
      nodes_[parent].entries[path.filename()] = node;
    }
    for (Node& node : nodes_) node.flushed_entries = node.entries;
  }

  void apply(const FileOperation& operation) {
    using Kind = FileOperation::Kind;
    const auto& [kind, path, to, content] = operation;
    const auto node = find(path);
    switch (kind) {
      case Kind::kOpenToWrite:
        if (!node) change({{path, add_node(false)}});
        nodes_[find(path).value()].now = content;
        return;
      case Kind::kMakeFolder:
        return change({{path, add_node(true)}});
      case Kind::kWrite:
        nodes_[node.value()].now = content;
        return;
      case Kind::kSync:
        return sync(node.value());
      case Kind::kRename:
        return change({{path, std::nullopt}, {to, node.value()}});
      case Kind::kExchange:
        return change({{path, find(to).value()}, {to, node.value()}});
      case Kind::kRemove:
        return change({{path, std::nullopt}});
    }
  }

  // Each state the disk may be in if the power is lost now: with nothing of what is not flushed,
  // with everything, with one change of an entry only, with all but one; and each of these with the
  // old and with the new contents.
  std::set<FileTree> after_power_loss() const {
    std::set<FileTree> states;
    for (const bool contents : {false, true}) {
      states.insert(state(contents, [](size_t) { return false; }));
      states.insert(state(contents, [](size_t) { return true; }));
      for (size_t one = 0; one < changes_.size(); ++one) {
        states.insert(state(contents, [=](size_t change) { return change == one; }));
        states.insert(state(contents, [=](size_t change) { return change != one; }));
      }
    }
    return states;
  }

 private:
  using Path = std::filesystem::path;
  using Entries = std::map<Path, size_t>;
  struct Node {
    bool is_folder = true;
    std::string now = {}, flushed = {};
    Entries entries = {}, flushed_entries = {};
  };
  // Of entries of one folder, all at once; no node: the entry is removed.
  struct Change {
    size_t folder;
    std::vector<std::pair<Path, std::optional<size_t>>> entries;
  };

  size_t add_node(bool is_folder) {
    nodes_.push_back({.is_folder = is_folder});
    return nodes_.size() - 1;
  }

  std::optional<size_t> find(const Path& path) const {
    size_t node = 0;
    for (const Path& name : path) {
      if (name.empty() || name == ".") continue;
      const auto entry = nodes_[node].entries.find(name);
      if (entry == nodes_[node].entries.end()) return std::nullopt;
      node = entry->second;
    }
    return node;
  }

  void change(const std::vector<std::pair<Path, std::optional<size_t>>>& paths) {
    Change made{.folder = find(paths[0].first.parent_path()).value(), .entries = {}};
    for (const auto& [path, node] : paths) {
      if (find(path.parent_path()) != made.folder)
        throw std::logic_error("a change of two folders is not modelled: " + path.string());
      made.entries.emplace_back(path.filename(), node);
    }
    carry_out(made, nodes_[made.folder].entries);
    changes_.push_back(std::move(made));
  }

  static void carry_out(const Change& change, Entries& entries) {
    for (const auto& [name, node] : change.entries) {
      if (node) {
        entries[name] = *node;
      } else {
        entries.erase(name);
      }
    }
  }

  void sync(size_t index) {
    Node& node = nodes_[index];
    node.flushed = node.now;
    node.flushed_entries = node.entries;
    std::erase_if(changes_, [&](const Change& change) { return change.folder == index; });
  }

  FileTree state(bool contents, const std::function<bool(size_t)>& is_on_disk) const {
    std::vector<Entries> entries;
    for (const Node& node : nodes_) entries.push_back(node.flushed_entries);
    for (size_t i = 0; i < changes_.size(); ++i) {
      if (is_on_disk(i)) carry_out(changes_[i], entries[changes_[i].folder]);
    }
    FileTree tree;
    list(0, {}, contents, entries, tree);
    return tree;
  }

  void list(size_t folder, const Path& path, bool contents, const std::vector<Entries>& entries,
            FileTree& tree) const {
    for (const auto& [name, index] : entries[folder]) {
      const Node& node = nodes_[index];
      if (node.is_folder) {
        tree[path / name] = std::nullopt;
        list(index, path / name, contents, entries, tree);
      } else {
        tree[path / name] = contents ? node.now : node.flushed;
      }
    }
  }

  std::vector<Node> nodes_{1};   // the first: the folder itself
  std::vector<Change> changes_;  // not flushed, in their order
};

// The states after a loss of power at each moment of a piece of work, each state once.
struct PowerLosses {
  std::set<FileTree> in_between;  // at any moment
  std::set<FileTree> at_the_end;  // once the work has returned
  size_t moments = 0;
};

inline PowerLosses power_losses(ModelDisk disk, const std::vector<FileOperation>& operations) {
  PowerLosses losses{.in_between = disk.after_power_loss(), .at_the_end = {}, .moments = 1};
  for (const FileOperation& operation : operations) {
    disk.apply(operation);
    losses.in_between.merge(disk.after_power_loss());
    ++losses.moments;
  }
  losses.at_the_end = disk.after_power_loss();
  return losses;
}

}  // namespace streamo::test
