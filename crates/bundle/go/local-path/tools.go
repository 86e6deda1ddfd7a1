//go:build tools

// Package localpath names the command that the add-on builds, so that `go mod tidy` keeps what it needs.
package localpath

import (
	_ "github.com/rancher/local-path-provisioner"
)
