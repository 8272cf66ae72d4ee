// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"
#include "transform.h"

namespace wasmctl {
namespace {

constexpr const char* kUsage =
    "usage: wasmctl compile [--layout LAYOUT] [--user UID:GID] INPUT OUTPUT\n"
    "\n"
    "Compiles the WebAssembly module INPUT for this machine and this version of\n"
    "the runtime and writes the image to OUTPUT. '-' is standard input or output.\n"
    "The server runs this by itself for modules that are not in its cache.\n"
    "\n"
    "  --layout LAYOUT  of the linear memory the code will run with: 'reserved'\n"
    "                   (the default: 4 GiB of address space an instance, no\n"
    "                   bounds checks) or 'compact' (for little address space)\n"
    "  --user UID:GID   become this user and group before anything is read; needs\n"
    "                   root\n"
    "\n"
    "Exit status: 0 if the image was written; 1 if the module is not valid; 2 for a\n"
    "wrong command line or a missing file; 3 if reading or writing failed; 4 if\n"
    "memory ran out.\n";

}  // namespace

int compile(int argc, char** argv) {
  static const option kOptions[] = {{"layout", required_argument, nullptr, 'l'},
                                    {"user", required_argument, nullptr, 'u'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {}};
  wasmrt_layout layout = WASMRT_LAYOUT_RESERVED;
  std::optional<User> user;
  OptionReader options(argc, argv, kOptions, kUsage);
  for (int found = options.next(); found != -1; found = options.next()) {
    if (found == 'l') {
      const std::optional<wasmrt_layout> parsed = parse_layout(options.value());
      if (!parsed) options.fail("a layout is 'reserved' or 'compact'");
      layout = parsed.value_or(layout);
    } else {
      user = parse_user(options.value());
      if (!user) options.fail("a user is UID:GID, both numbers");
    }
    if (options.exit_status()) break;
  }
  if (!options.exit_status() && options.word_count() != 2) {
    options.fail("an input and an output are expected");
  }
  if (options.exit_status()) return *options.exit_status();

  return transform(user, options.words()[0], options.words()[1],
                   [layout](int module_fd, int image_fd, wasmrt_error& error) {
                     return wasmrt_compile(module_fd, layout, image_fd, &error);
                   });
}

}  // namespace wasmctl
