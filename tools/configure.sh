#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Sets up a build directory unless it is set up already, with these options and
# this compiler. With others it is set up anew; one that somebody set up by hand is
# left as it is. Meson's own account of it goes to DIRECTORY/configure.log, and to
# the screen when it failed.
#
# usage: configure.sh DIRECTORY [MESON OPTION...]
set -eu
directory=$1
shift
cd "$(dirname "$0")/.."

wanted=$(printf '%s\n' "CC=${CC:-}" "$@")
kept=$directory/configure.options
if [ -f "$directory/build.ninja" ]; then
    [ -f "$kept" ] || exit 0
    [ "$(cat "$kept")" != "$wanted" ] || exit 0
    echo "configuring $directory anew, with other options"
    rm -rf "$directory/build.ninja" "$directory/meson-private" "$directory/meson-info"
else
    echo "configuring $directory"
fi
mkdir -p "$directory"
if ! meson setup "$directory" "$@" >"$directory/configure.log" 2>&1; then
    tail -n 20 "$directory/configure.log" >&2
    echo "configure.sh: meson setup failed; the whole log is $directory/configure.log" >&2
    exit 1
fi
printf '%s\n' "$wanted" >"$kept"
