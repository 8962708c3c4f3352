#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Sets up a build directory unless it is set up already. Meson's own account of
# it goes to DIRECTORY/configure.log, and to the screen when it failed.
#
# usage: configure.sh DIRECTORY [MESON OPTION...]
set -eu
directory=$1
shift
cd "$(dirname "$0")/.."

[ ! -f "$directory/build.ninja" ] || exit 0
echo "configuring $directory"
mkdir -p "$directory"
if ! meson setup "$directory" "$@" >"$directory/configure.log" 2>&1; then
    tail -n 20 "$directory/configure.log" >&2
    echo "configure.sh: meson setup failed; the whole log is $directory/configure.log" >&2
    exit 1
fi
