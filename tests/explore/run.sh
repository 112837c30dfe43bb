#!/bin/sh
# tests/explore/run.sh OUT [ARGUMENT...] - what make explore runs.
# SPDX-License-Identifier: BSD-2-Clause
set -u
out=$1
shift
exec "$out/explore" "$@"
