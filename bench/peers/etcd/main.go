// SPDX-License-Identifier: Apache-2.0

// etcd as it is, in the version that go.mod names: Debian's is years old.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
