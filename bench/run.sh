#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--quick] [other arguments of bench.py]
#
# Builds the peers, measures, writes docs/benchmarks.md and its chart. The
# module and the guests must have been built (`make bench` sees to it).

set -eu

cd "$(dirname "$0")"
for tool in wrk ab curl apxs clang; do
    command -v $tool >/dev/null || {
        echo "run.sh: $tool is missing; on Debian: apt-get install wrk apache2-utils curl apache2-dev clang" >&2
        exit 1
    }
done
make --no-print-directory all wasi
exec /usr/bin/python3 bench.py "$@"
