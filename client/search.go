package client

import (
	"context"
	"net/http"
	"time"
)

// SearchRequest is a text to look up.
type SearchRequest struct {
	Text string `json:"text" maxLength:"65536" doc:"A name, or an error message pasted whole"`
}

// SearchAnswer is what a text leads to.
type SearchAnswer struct {
	Groups    []SearchGroup `json:"groups" nullable:"false"`
	Diagnosis *Diagnosis    `json:"diagnosis,omitempty" doc:"What is known about the text as an error message; left out where it is a name"`
}

// SearchGroup is what was found of one kind.
type SearchGroup struct {
	Kind string      `json:"kind" doc:"tenants, connections, incidents, people, accounts (of tenants), filters, tags, pages, audit"`
	Hits []SearchHit `json:"hits" nullable:"false"`
	More string      `json:"more,omitempty" doc:"The page of the console that shows the rest"`
}

// SearchHit is one thing that was found.
type SearchHit struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Note     string     `json:"note,omitempty"`
	Path     string     `json:"path" doc:"Of its page in the console"`
	TenantID string     `json:"tenant_id,omitempty"`
	At       *time.Time `json:"at,omitempty" doc:"Of an entry of the audit log"`
}

// Search looks a text up in everything that the caller may see.
func (c *Client) Search(ctx context.Context, text string) (SearchAnswer, error) {
	return call[SearchAnswer](ctx, c, request{method: http.MethodPost, path: "/search", body: SearchRequest{text}})
}
