//go:build unix

package server_test

import (
	"syscall"
	"testing"
	"time"
)

// processorTime is what this process has had of the processors.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	used := ownProcessorTime()
	if used == 0 {
		t.Fatal("the system does not tell what this process has had of the processors")
	}
	return used
}

// ownProcessorTime is [processorTime] for processes that are no test; 0 if it is not
// known.
func ownProcessorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
