// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "command_line.h"

namespace wasmctl {
namespace {

constexpr const char* kUsage =
    "usage: wasmctl inspect [--entry NAME] MODULE\n"
    "\n"
    "Lists what a WebAssembly module imports and exports, without compiling it,\n"
    "and tells whether it would run. An import that is offered has a check mark,\n"
    "any other a cross.\n"
    "\n"
    "  --entry NAME  the exported function to start at (default: _start)\n"
    "\n"
    "Exit status: 0 if the module would run, 1 if not, 2 for a wrong command line.\n";

struct Item {
  std::string kind;
  std::string name;
  std::string type;
  bool supported;
};

struct Contents {
  std::vector<Item> imports;
  std::vector<Item> exports;
  /// How many imports each module has that they come from.
  std::map<std::string, int> interfaces;
};

void collect(void* baton, const wasmrt_item* item) {
  auto& contents = *static_cast<Contents*>(baton);
  Item mine{item->kind, item->name, item->type, item->supported != 0};
  if (item->direction == wasmrt_item::WASMRT_IMPORT) {
    ++contents.interfaces[item->module];
    mine.name = std::string(item->module) + "." + mine.name;
    contents.imports.push_back(std::move(mine));
  } else {
    contents.exports.push_back(std::move(mine));
  }
}

const Item* find(const std::vector<Item>& items, std::string_view kind, std::string_view name) {
  for (const Item& item : items) {
    if (item.kind == kind && (name.empty() || item.name == name)) return &item;
  }
  return nullptr;
}

const char* kind_of(const Contents& contents) {
  if (find(contents.exports, "function", "_start") != nullptr) return "command";
  if (find(contents.exports, "function", "_initialize") != nullptr) return "reactor";
  return "library";
}

void print_field(const char* field, const std::string& value) {
  std::printf("%-9s %s\n", field, value.c_str());
}

void print_item(const char* mark, const Item& item) {
  std::printf("  %s %s %s%s%s\n", mark, item.kind.c_str(), item.name.c_str(),
              item.type.empty() ? "" : " ", item.type.c_str());
}

void print(const Contents& contents) {
  print_field("kind", kind_of(contents));
  const Item* memory = find(contents.exports, "memory", "");
  if (memory == nullptr) memory = find(contents.imports, "memory", "");
  print_field("memory", memory != nullptr ? memory->type : "none that is exported");
  std::string interfaces;
  for (const auto& [module, count] : contents.interfaces) {
    interfaces += (interfaces.empty() ? "" : ", ") + module + " (" + std::to_string(count) + ")";
  }
  print_field("uses", interfaces.empty() ? "nothing" : interfaces);
  print_field("imports", std::to_string(contents.imports.size()));
  for (const Item& item : contents.imports) print_item(item.supported ? "✓" : "✗", item);
  print_field("exports", std::to_string(contents.exports.size()));
  for (const Item& item : contents.exports) print_item(" ", item);
}

}  // namespace

int inspect(int argc, char** argv) {
  static const option kOptions[] = {
      {"entry", required_argument, nullptr, 'e'}, {"help", no_argument, nullptr, 'h'}, {}};
  const char* entry = nullptr;
  OptionReader options(argc, argv, kOptions, kUsage);
  while (options.next() != -1) entry = optarg;
  if (!options.exit_status() && options.word_count() != 1) options.fail("one module is expected");
  if (options.exit_status()) return *options.exit_status();
  const char* path = options.words()[0];

  Contents contents;
  wasmrt_error error{};
  const wasmrt_status read = wasmrt_inspect_file(path, collect, &contents, &error);
  if (read != WASMRT_OK && contents.imports.empty() && contents.exports.empty()) {
    complain(error.message);
    return kExitFailure;
  }
  const wasmrt_status checked = wasmrt_check_file(path, entry, &error);
  struct stat file {};
  if (stat(path, &file) == 0) print_field("size", std::to_string(file.st_size) + " bytes");
  print_field("runs", checked == WASMRT_OK ? "yes" : std::string("no: ") + error.message);
  print(contents);
  return checked == WASMRT_OK ? 0 : kExitFailure;
}

}  // namespace wasmctl
