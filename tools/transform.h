// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "wasm_runtime.h"

namespace wasmctl {

struct User {
  uid_t uid;
  gid_t gid;
};

/// "UID:GID", both numbers; nothing if it is not.
std::optional<User> parse_user(std::string_view text);

/// Makes one file of another: what `compile` and `image` do. Becomes `user`
/// first, opens both ('-' are the standard streams), has `work` read the one
/// and write the other, and leaves no empty file behind a failure.
///
/// @return the exit status: a wasmrt_status.
int transform(
    const std::optional<User>& user, const std::string& input, const std::string& output,
    const std::function<wasmrt_status(int input_fd, int output_fd, wasmrt_error& error)>& work);

}  // namespace wasmctl
