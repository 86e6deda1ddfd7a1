//go:build tools

// Package runc names the commands that the bundle builds, so that `go mod tidy` keeps what they need.
package runc

import (
	_ "github.com/opencontainers/runc"
)
