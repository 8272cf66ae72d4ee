-- SPDX-License-Identifier: Apache-2.0
-- For wrk: each request carries a body of 1 MiB.
wrk.method = "POST"
wrk.body = string.rep("u", 1048576)
