#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh [SECONDS]: builds the libFuzzer targets and runs each for SECONDS
# (60). What one finds is kept in build/fuzz/findings and fails the script.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
scripts/bootstrap.sh libclang-rt-14-dev
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzz_wasi fuzz_module_info fuzz_headers
mkdir -p build/fuzz/findings
for target in fuzz_wasi fuzz_module_info fuzz_headers; do
  echo "Running $target for $seconds s"
  corpus=build/fuzz/corpus-$target
  mkdir -p "$corpus"
  build/fuzz/$target -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix=build/fuzz/findings/$target- "$corpus" >build/fuzz/$target.log 2>&1 || {
    tail -40 build/fuzz/$target.log
    echo "$target found something: build/fuzz/findings, build/fuzz/$target.log" >&2
    exit 1
  }
  grep -a number_of_executed_units build/fuzz/$target.log
done
