#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the static liblash: joins the layers' archives into one object, in which
# hidden symbols become local, so that a program that links it statically sees
# the public functions only, as it would with the shared one.
#
# usage: static_library.sh OUTPUT DIRECTORY COMPILER [WORD...] -- ARCHIVE...
#
# The compiler may be several words: "ccache cc", which meson takes by itself where it finds ccache.
set -eu
output=$1
directory=$2
shift 2
compiler=
while [ "$1" != -- ]; do
    compiler="$compiler $1"
    shift
done
shift

mkdir -p "$directory"
$compiler -r -nostdlib -o "$directory/lash.o" -Wl,--whole-archive "$@" -Wl,--no-whole-archive
objcopy --localize-hidden "$directory/lash.o"
rm -f "$output"
ar rcs "$output" "$directory/lash.o"
