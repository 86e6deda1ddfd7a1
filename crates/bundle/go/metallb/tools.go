//go:build tools

// Package metallb names the commands that the add-on builds, so that `go mod tidy` keeps what they need.
package metallb

import (
	_ "go.universe.tf/metallb/controller"
	_ "go.universe.tf/metallb/speaker"
)
