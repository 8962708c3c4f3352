#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the static liblash: joins the layers' archives into one object, in which
# hidden symbols become local, so that a program that links it statically sees
# the public functions only, as it would with the shared one.
#
# usage: static_library.sh COMPILER OUTPUT DIRECTORY ARCHIVE...
set -eu
compiler=$1
output=$2
directory=$3
shift 3

mkdir -p "$directory"
"$compiler" -r -nostdlib -o "$directory/lash.o" -Wl,--whole-archive "$@" -Wl,--no-whole-archive
objcopy --localize-hidden "$directory/lash.o"
rm -f "$output"
ar rcs "$output" "$directory/lash.o"
