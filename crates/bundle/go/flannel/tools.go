//go:build tools

// Package flannel names the command that the add-on builds, so that `go mod tidy` keeps what it needs.
package flannel

import (
	_ "github.com/flannel-io/flannel"
)
