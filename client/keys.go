package client

import (
	"context"
	"net/http"
	"time"
)

// KeyPrefix begins every API key.
const KeyPrefix = "ghk_"

// Key is an API key: a program acts with it for its owner.
type Key struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Hint        string     `json:"hint" doc:"Its first characters"`
	OperatorID  string     `json:"operator_id"`
	Owner       string     `json:"owner" doc:"Name of the operator"`
	Permissions []string   `json:"permissions"`
	Tenants     []string   `json:"tenants" doc:"* stands for all of the owner's"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   time.Time  `json:"expires_at"`
	UsedAt      *time.Time `json:"used_at,omitempty" doc:"The minute of the last use, as far as sums of uses are kept"`
}

// KeyRequest is what a new key is to be.
type KeyRequest struct {
	Name        string   `json:"name" maxLength:"100" doc:"Which program it is for"`
	Permissions []string `json:"permissions" minItems:"1" maxItems:"100" doc:"No more than one has oneself"`
	Tenants     []string `json:"tenants" minItems:"1" maxItems:"100" doc:"By id; * alone stands for all of one's own, also later ones"`
	Days        int      `json:"days,omitempty" minimum:"1" maximum:"365" default:"90" doc:"Until it expires"`
}

// NewKey is a key that was just made.
type NewKey struct {
	Key   Key    `json:"key"`
	Token string `json:"token" doc:"The key itself: it is shown now and never again"`
}

// Keys lists one's own API keys, and those that reach tenants in which one may see
// operators.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	l, err := call[List[Key]](ctx, c, request{method: http.MethodGet, path: "/keys"})
	return l.Items, err
}

// AddKey makes an API key. It takes a session: no key makes keys.
func (c *Client) AddKey(ctx context.Context, r KeyRequest) (NewKey, error) {
	return call[NewKey](ctx, c, request{method: http.MethodPost, path: "/keys", body: r})
}

// RevokeKey ends an API key.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: path("keys", id)})
}
