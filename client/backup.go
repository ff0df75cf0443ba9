package client

import (
	"context"
	"io"
	"net/http"
)

// Backup writes a backup of the whole database. It can take minutes: give the
// client an HTTP client with time enough. A backup that broke off has no end
// line, and every command that reads it says so.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	return c.do(ctx, request{method: http.MethodGet, path: "/backup", into: w})
}
