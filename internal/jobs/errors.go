package jobs

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrMissing says that there is no such job (any more).
	ErrMissing = errors.New("no such job")
	// ErrFinished says that a job cannot be cancelled any more.
	ErrFinished = errors.New("the job has already finished")
	// ErrRunning says that a job cannot be started, as it is running.
	ErrRunning = errors.New("the job is running")

	// errCancelled is the cause with which a running job's context ends.
	errCancelled = errors.New("cancelled by an operator")
	// errStopped is the cause when the server stops.
	errStopped = errors.New("the server is stopping")
	// errTakenOver is the cause when this replica was thought dead.
	errTakenOver = errors.New("this replica could not be heard of for too long")
)

type stopError struct{ error }

func (e stopError) Unwrap() error { return e.error }

// Stop marks an error that trying again cannot mend: the job ends as failed.
func Stop(err error) error { return stopError{err} }

type laterError struct {
	pause time.Duration
	cause error
}

func (e laterError) Error() string {
	if e.cause != nil {
		return e.cause.Error()
	}
	return fmt.Sprintf("put off for %s", e.pause)
}

func (e laterError) Unwrap() error { return e.cause }

// Later puts a job off, for example for the time that a Retry-After header
// names. It does not count as an attempt. The cause may be nil.
func Later(pause time.Duration, cause error) error {
	return laterError{pause: max(pause, 0), cause: cause}
}
