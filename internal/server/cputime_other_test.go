//go:build !unix

package server_test

import (
	"testing"
	"time"
)

// processorTime is not known here.
func processorTime(testing.TB) time.Duration { return 0 }

// ownProcessorTime is not known here either.
func ownProcessorTime() time.Duration { return 0 }
