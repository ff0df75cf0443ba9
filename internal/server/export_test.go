package server

import "time"

// HeaderPatience makes slow headers end sooner, until the function that it gives
// is called.
func HeaderPatience(d time.Duration) (restore func()) {
	before := limits.header
	limits.header = d
	return func() { limits.header = before }
}
