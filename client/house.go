package client

import (
	"context"
	"net/http"
)

// Finding is what was looked at on the server's machine.
type Finding struct {
	Name   string `json:"name" enum:"clock,disk,database,key,mail,egress,dns"`
	State  string `json:"state" enum:"passed,warning,failed,unknown"`
	Detail string `json:"detail"`
	Way    string `json:"way,omitempty" doc:"What to do"`
}

// Doctor looks after the server: clock, disk, database, key,
// mail server, egress, DNS.
func (c *Client) Doctor(ctx context.Context) ([]Finding, error) {
	l, err := call[List[Finding]](ctx, c, request{method: http.MethodGet, path: "/doctor"})
	return l.Items, err
}

// KeyState is how the keys that seal secrets stand.
type KeyState struct {
	State string `json:"state" enum:"steady,distributed,promoted" doc:"Other than steady: a rotation is under way"`
}

// RotateKeys begins to replace the key that seals secrets; the server goes on
// with it by itself.
func (c *Client) RotateKeys(ctx context.Context) (KeyState, error) {
	return call[KeyState](ctx, c, request{method: http.MethodPost, path: "/keys/rotate"})
}
