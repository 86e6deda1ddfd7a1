//go:build tools

// Package etcd names the commands that the bundle builds, so that `go mod tidy` keeps what they need.
package etcd

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
