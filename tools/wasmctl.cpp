// SPDX-License-Identifier: Apache-2.0
//
// wasmctl: the runtime of mod_wasm without a server around it.
#include <cstdio>
#include <cstring>

#include "command_line.h"

namespace {

constexpr const char* kUsage =
    "usage: wasmctl COMMAND [OPTION...] ...\n"
    "\n"
    "Runs and examines WebAssembly command modules (WASI preview 1) with the\n"
    "runtime of mod_wasm, the Apache httpd module.\n"
    "\n"
    "  run      run a module as a program\n"
    "  inspect  list what a module imports and exports, and whether it would run\n"
    "  compile  compile a module ahead of time\n"
    "  image    run a module's init function and keep what it left\n"
    "  version  print versions\n"
    "\n"
    "wasmctl COMMAND --help tells more.\n";

int version() {
  std::printf("wasmctl %s (%s)\n", wasmrt_version(), wasmrt_engine_version());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (wasmrt_abi_version() != WASMRT_ABI_VERSION) {
    wasmctl::complain("the library libwasm_runtime that was loaded, version " +
                      std::string(wasmrt_version()) +
                      ", is not the one this program was built for");
    return wasmctl::kExitFailure;
  }
  if (argc < 2) {
    std::fputs(kUsage, stderr);
    return wasmctl::kExitUsage;
  }
  const std::string_view command = argv[1];
  if (command == "run") return wasmctl::run(argc - 1, argv + 1);
  if (command == "inspect") return wasmctl::inspect(argc - 1, argv + 1);
  if (command == "compile") return wasmctl::compile(argc - 1, argv + 1);
  if (command == "image") return wasmctl::image(argc - 1, argv + 1);
  if (command == "version" || command == "--version") return version();
  if (command == "--help" || command == "-h" || command == "help") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  wasmctl::complain("unknown command " + std::string(command) + "; see wasmctl --help");
  return wasmctl::kExitUsage;
}
