// SPDX-License-Identifier: Apache-2.0
#include "engine/module_info.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "wasi/table.h"

namespace wasmrt {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// Lengths here stay below 128 unless `leb` is used.
Bytes leb(uint32_t value) {
  Bytes out;
  do {
    out.push_back(static_cast<uint8_t>((value & 0x7f) | (value > 0x7f ? 0x80 : 0)));
    value >>= 7;
  } while (value != 0);
  return out;
}

Bytes name(std::string_view text) {
  return leb(static_cast<uint32_t>(text.size())) + Bytes(text.begin(), text.end());
}

Bytes section(uint8_t id, const Bytes& content) {
  return Bytes{id} + leb(static_cast<uint32_t>(content.size())) + content;
}

const Bytes kHeader = {0, 'a', 's', 'm', 1, 0, 0, 0};

Bytes import_function(std::string_view module, std::string_view function, uint8_t type) {
  return name(module) + name(function) + Bytes{0, type};
}

constexpr std::string_view kWasi = "wasi_snapshot_preview1";

/// A command: types () -> (), (i32, i32, i32, i32) -> (i32); imports fd_write;
/// exports memory and _start.
Bytes command() {
  return kHeader + section(1, {2, 0x60, 0, 0, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f}) +
         section(2, Bytes{1} + import_function(kWasi, "fd_write", 1)) +  //
         section(3, {1, 0}) +                                            //
         section(5, {1, 1, 17, 64}) +
         section(7, Bytes{2} + name("memory") + Bytes{2, 0} + name("_start") + Bytes{0, 1}) +
         section(10, {1, 2, 0, 0x0b});
}

Status read(const Bytes& bytes, ModuleInfo& info) { return info.read(std::span(bytes)); }

std::string error_of(const Bytes& bytes) {
  ModuleInfo info;
  const Status status = read(bytes, info);
  EXPECT_EQ(status.code(), WASMRT_INVALID);
  return status.message();
}

Status check(const Bytes& bytes, std::string_view entry_point = "_start") {
  ModuleInfo info;
  if (Status status = read(bytes, info); !status.is_ok()) return status;
  return check_module(info, entry_point);
}

TEST(ModuleInfo, ReadsACommand) {
  ModuleInfo info;
  ASSERT_TRUE(read(command(), info).is_ok());
  ASSERT_EQ(info.imports().size(), 1U);
  EXPECT_EQ(info.imports()[0].module, kWasi);
  EXPECT_EQ(info.imports()[0].name, "fd_write");
  EXPECT_EQ(to_string(info.function_type(0)), "(i32, i32, i32, i32) -> (i32)");
  ASSERT_EQ(info.exports().size(), 2U);
  EXPECT_EQ(to_string(info.memory_type(0)), "17 to 64 pages");
  ASSERT_NE(info.find_export("_start"), nullptr);
  EXPECT_EQ(to_string(info.function_type(info.find_export("_start")->index)), "() -> ()");
  EXPECT_EQ(info.find_export("_star"), nullptr);
  EXPECT_TRUE(check(command()).is_ok());
}

TEST(ModuleInfo, ReadsTheSameFromAFile) {
  char path[] = "/tmp/module_info_test.XXXXXX";
  const UniqueFd fd(mkstemp(path));
  ASSERT_TRUE(fd.valid());
  unlink(path);
  // Custom sections past the reader's window, then the rest.
  Bytes bytes = kHeader;
  for (int i = 0; i < 5; ++i) bytes = bytes + section(0, name("notes") + Bytes(5000, 'x'));
  const Bytes rest = command();
  bytes.insert(bytes.end(), rest.begin() + 8, rest.end());
  ASSERT_EQ(write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ModuleInfo info;
  const Status status = info.read(fd.get());
  ASSERT_TRUE(status.is_ok()) << status.message();
  EXPECT_EQ(info.file_bytes(), bytes.size());
  EXPECT_TRUE(check_module(info, "_start").is_ok());
}

TEST(ModuleInfo, EveryCutIsAnErrorOrAShorterModule) {
  const Bytes whole = command();
  for (size_t size = 0; size < whole.size(); ++size) {
    ModuleInfo info;
    const Status status = read(Bytes(whole.begin(), whole.begin() + static_cast<long>(size)), info);
    // A cut between two sections leaves a sound, smaller module.
    EXPECT_EQ(status.is_ok(), status.message().empty()) << size;
  }
  EXPECT_EQ(error_of(Bytes(whole.begin(), whole.end() - 1)),
            "is cut off: its code section at byte 90 needs 4 bytes and 3 are left");
}

TEST(ModuleInfo, AnyBytesAreSurvived) {
  std::mt19937 random(4711);
  const Bytes whole = command();
  for (int round = 0; round < 50'000; ++round) {
    Bytes bytes = whole;
    for (unsigned n = 1 + random() % 4; n > 0; --n) {
      bytes[8 + random() % (bytes.size() - 8)] = static_cast<uint8_t>(random());
    }
    ModuleInfo info;
    const Status status = read(bytes, info);
    const Status checked = check_module(info, "_start");
    EXPECT_EQ(status.is_ok(), status.message().empty());
    EXPECT_EQ(checked.is_ok(), checked.message().empty());
  }
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes = kHeader;
    for (unsigned n = random() % 64; n > 0; --n) bytes.push_back(static_cast<uint8_t>(random()));
    ModuleInfo info;
    if (const Status status = read(bytes, info); status.is_ok()) {
      EXPECT_EQ(info.file_bytes(), bytes.size());
    }
  }
}

TEST(ModuleInfo, CountsAreCheckedBeforeAnythingIsMade) {
  const Bytes huge = {0xff, 0xff, 0xff, 0xff, 0x0f};
  EXPECT_EQ(error_of(kHeader + section(1, huge)),
            "is damaged in its type section: a count of 4294967295 where 1000000 are allowed at "
            "byte 10");
  const Bytes million = leb(1'000'000);
  for (const uint8_t id : {1, 2, 3, 7}) {
    EXPECT_NE(error_of(kHeader + section(id, million)).find("the section is too short at byte 10"),
              std::string::npos);
  }
  EXPECT_NE(error_of(kHeader + section(1, {1, 0x60, 0xe9, 0x07})).find("where 1000 are allowed"),
            std::string::npos);
  EXPECT_NE(error_of(kHeader + section(7, Bytes{1} + leb(100'001))).find("a name is too long"),
            std::string::npos);
}

TEST(ModuleInfo, IntegersAreBounded) {
  EXPECT_NE(error_of(kHeader + section(3, {1, 0x80, 0x80, 0x80, 0x80, 0x10})).find("too large"),
            std::string::npos);
  EXPECT_NE(error_of(kHeader + section(3, {1, 0x80, 0x80, 0x80, 0x80, 0x80, 0})).find("too large"),
            std::string::npos);
  ModuleInfo info;
  // Longer than needed, but within five bytes, is allowed.
  EXPECT_TRUE(read(kHeader + section(3, {1, 0x80, 0x80, 0x80, 0x80, 0x00}), info).is_ok());
}

TEST(ModuleInfo, SectionsStandInOrder) {
  EXPECT_NE(error_of(kHeader + section(3, {0}) + section(1, {0})).find("out of order, at byte 11"),
            std::string::npos);
  EXPECT_NE(error_of(kHeader + section(1, {0}) + section(1, {0})).find("there twice"),
            std::string::npos);
  EXPECT_NE(error_of(kHeader + section(14, {0})).find("section 14 is not known"),
            std::string::npos);
  EXPECT_NE(error_of(kHeader + section(1, {0, 0})).find("longer than its items at byte 11"),
            std::string::npos);
  ModuleInfo info;  // a tag section lies between memory and global
  EXPECT_TRUE(read(kHeader + section(5, {0}) + section(13, {0}) + section(6, {0}), info).is_ok());
}

TEST(ModuleInfo, SaysWhatAFileIsInstead) {
  const auto error = [](std::string_view text) {
    return error_of(Bytes(text.begin(), text.end()));
  };
  EXPECT_NE(error("").find("it is empty"), std::string::npos);
  EXPECT_NE(error("\x7f"
                  "ELF\2\1\1")
                .find("a native program"),
            std::string::npos);
  EXPECT_NE(error("\n (module (func))").find("WebAssembly text"), std::string::npos);
  EXPECT_NE(error("<?php echo 1;").find("text with markup"), std::string::npos);
  EXPECT_NE(error("version https://git-lfs.github.com/spec/v1").find("git lfs pull"),
            std::string::npos);
  EXPECT_NE(error("\x1b[2J!").find("it starts with \"\\x1b[2J\" instead"), std::string::npos);
  EXPECT_NE(error("ab").find("it starts with \"ab\" instead"), std::string::npos);
  EXPECT_EQ(error_of({0, 'a', 's', 'm', 0x0d, 0, 1, 0}),
            "is a component; mod_wasm runs core modules (WASI preview 1 commands)");
  EXPECT_NE(error_of({0, 'a', 's', 'm', 2, 0, 0, 0}).find("version 2"), std::string::npos);
  EXPECT_NE(error_of({0, 'a', 's', 'm', 1}).find("inside its header"), std::string::npos);
}

TEST(ModuleInfo, UnknownTypeFormsEndTheTypesOnly) {
  // A recursion group behind one known type.
  const Bytes bytes =
      kHeader + section(1, {3, 0x60, 0, 0, 0x4e, 1, 0x5f, 1, 0x7f, 0, 0x60, 1, 0x7f, 0}) +
      section(2, Bytes{1} + import_function(kWasi, "sched_yield", 2)) + section(3, {2, 0, 2}) +
      section(7, Bytes{2} + name("_start") + Bytes{0, 2} + name("run") + Bytes{0, 1});
  ModuleInfo info;
  ASSERT_TRUE(read(bytes, info).is_ok());
  EXPECT_EQ(to_string(info.function_type(1)), "() -> ()");
  EXPECT_EQ(to_string(info.function_type(2)), "(unknown)");
  EXPECT_TRUE(check(bytes).is_ok());
  EXPECT_TRUE(check(bytes, "run").is_ok());
}

TEST(ModuleInfo, EveryHostFunctionIsAnAllowedImport) {
  for (const wasi::HostFunction& function : wasi::host_functions()) {
    Bytes type = {1, 0x60, static_cast<uint8_t>(function.parameters.size())};
    for (const wasi::ValueType value : function.parameters) {
      type.push_back(value == wasi::ValueType::kI32 ? 0x7f : 0x7e);
    }
    type = type + (function.has_result ? Bytes{1, 0x7f} : Bytes{0});
    ModuleInfo info;
    const Bytes imports = Bytes{1} + import_function(function.module, function.name, 0);
    ASSERT_TRUE(read(kHeader + section(1, type) + section(2, imports), info).is_ok());
    EXPECT_EQ(import_problem(info, info.imports().at(0)), "") << function.name;

    // And not with one parameter less or more.
    type.insert(type.begin() + 3, 0x7d);
    ++type[2];
    ASSERT_TRUE(read(kHeader + section(1, type) + section(2, imports), info).is_ok());
    EXPECT_NE(import_problem(info, info.imports().at(0)), "") << function.name;
  }
}

std::string import_error(const Bytes& import) {
  const Status status = check(kHeader + section(1, {2, 0x60, 0, 0, 0x60, 1, 0x7e, 0}) +
                              section(2, Bytes{1} + import));
  EXPECT_EQ(status.code(), WASMRT_INVALID);
  return status.message();
}

TEST(ModuleInfo, SaysWhyAnImportIsMissing) {
  EXPECT_EQ(import_error(import_function(kWasi, "fd_write", 1)),
            "imports the function wasi_snapshot_preview1.fd_write as (i64) -> (), which is (i32, "
            "i32, i32, i32) -> (i32)");
  EXPECT_NE(import_error(import_function(kWasi, "sock_open", 0)).find("preview 1 has no such"),
            std::string::npos);
  EXPECT_NE(import_error(import_function("mod_wasm", "fly", 0)).find("made for another one"),
            std::string::npos);
  EXPECT_NE(import_error(import_function("env", "foo", 0)).find("the function env.foo, which"),
            std::string::npos);
  EXPECT_NE(import_error(import_function("gojs", "x", 0)).find("GOOS=wasip1"), std::string::npos);
  EXPECT_NE(import_error(import_function("wasi:http/types@0.2.0", "x", 0)).find("component"),
            std::string::npos);
  EXPECT_NE(import_error(name("env") + name("memory") + Bytes{2, 3, 1, 2}).find("--import-memory"),
            std::string::npos);
  EXPECT_NE(import_error(name("env") + name("__linear_memory") + Bytes{2, 0, 1}).find("wasm-ld"),
            std::string::npos);
  EXPECT_NE(import_error(name("a") + name("t") + Bytes{1, 0x63, 0x70, 0, 1}).find("the table a.t"),
            std::string::npos);
  EXPECT_NE(import_error(name("a") + name("g") + Bytes{3, 0x7f, 1}).find("the global a.g"),
            std::string::npos);
  EXPECT_NE(import_error(name("a") + name("x") + Bytes{4, 0, 1}).find("the tag a.x"),
            std::string::npos);
  EXPECT_NE(import_error(import_function("e\nnv", "\xff", 0)).find("e\\x0anv.\\xff"),
            std::string::npos);
  const Status many =
      check(kHeader + section(1, {1, 0x60, 0, 0}) +
            section(2, Bytes{3} + import_function("a", "b", 0) + import_function("c", "d", 0) +
                           import_function("e", "f", 0)));
  EXPECT_NE(many.message().find("(and 2 more such imports)"), std::string::npos);
}

TEST(ModuleInfo, ChecksTheEntryPoint) {
  const Bytes bytes = kHeader + section(1, {2, 0x60, 0, 0, 0x60, 0, 1, 0x7f}) +
                      section(3, {2, 0, 1}) + section(5, {1, 0, 1}) +
                      section(7, Bytes{3} + name("run") + Bytes{0, 0} + name("number") +
                                     Bytes{0, 1} + name("memory") + Bytes{2, 0});
  EXPECT_TRUE(check(bytes, "run").is_ok());
  EXPECT_EQ(check(bytes).code(), WASMRT_NOT_FOUND);
  EXPECT_EQ(check(bytes).message(),
            "exports no function \"_start\" to start at; it could start at: run");
  EXPECT_EQ(check(bytes, "memory").code(), WASMRT_INVALID);
  EXPECT_NE(check(bytes, "number").message().find("as () -> (i32)"), std::string::npos);
  EXPECT_NE(check(kHeader).message().find("it is a library"), std::string::npos);
}

struct Items {
  std::vector<std::string> lines;
};

void collect(void* baton, const wasmrt_item* item) {
  static_cast<Items*>(baton)->lines.push_back(
      std::string(item->direction == wasmrt_item::WASMRT_IMPORT ? "import " : "export ") +
      item->kind + " " + (item->module != nullptr ? item->module : "-") + " " + item->name + " " +
      item->type + " " + std::to_string(item->supported));
}

class ModuleFile : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(directory_), nullptr); }
  void TearDown() override {
    unlink(path().c_str());
    rmdir(directory_);
  }
  [[nodiscard]] std::string path() const { return std::string(directory_) + "/a\nmodule.wasm"; }
  void write_file(const Bytes& bytes) const {
    const UniqueFd fd(open(path().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    ASSERT_EQ(write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

  char directory_[64] = "/tmp/module_file_test.XXXXXX";
};

TEST_F(ModuleFile, CheckNamesTheFileAndEscapesIt) {
  wasmrt_error error{};
  EXPECT_EQ(wasmrt_check_file(path().c_str(), nullptr, &error), WASMRT_NOT_FOUND);
  EXPECT_NE(std::string(error.message).find("/a\\x0amodule.wasm: No such file"), std::string::npos);
  write_file(command());
  EXPECT_EQ(wasmrt_check_file(path().c_str(), nullptr, nullptr), WASMRT_OK);
  EXPECT_EQ(wasmrt_check_file(path().c_str(), "main", &error), WASMRT_NOT_FOUND);
  EXPECT_NE(std::string(error.message).find("module.wasm: exports no function"), std::string::npos);
  EXPECT_EQ(wasmrt_check_file(directory_, nullptr, &error), WASMRT_INVALID);
  EXPECT_NE(std::string(error.message).find("is a directory"), std::string::npos);
  ASSERT_EQ(unlink(path().c_str()), 0);
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  EXPECT_EQ(wasmrt_check_file(path().c_str(), nullptr, &error), WASMRT_INVALID);
  EXPECT_NE(std::string(error.message).find("not a regular file"), std::string::npos);
}

TEST_F(ModuleFile, InspectGivesWhatItReadBeforeTheDamage) {
  write_file(command());
  Items items;
  ASSERT_EQ(wasmrt_inspect_file(path().c_str(), collect, &items, nullptr), WASMRT_OK);
  EXPECT_EQ(items.lines,
            (std::vector<std::string>{
                "import function wasi_snapshot_preview1 fd_write (i32, i32, i32, i32) -> (i32) 1",
                "export memory - memory 17 to 64 pages 0", "export function - _start () -> () 0"}));
  Bytes cut = command();
  cut.resize(cut.size() - 2);
  write_file(cut);
  items.lines.clear();
  wasmrt_error error{};
  EXPECT_EQ(wasmrt_inspect_file(path().c_str(), collect, &items, &error), WASMRT_INVALID);
  EXPECT_EQ(items.lines.size(), 3U);
  EXPECT_NE(std::string(error.message).find("is cut off"), std::string::npos);
}

}  // namespace
}  // namespace wasmrt
