// SPDX-License-Identifier: Apache-2.0
// A cargo package needs a target; this one is never built.
