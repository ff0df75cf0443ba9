package client

import (
	"context"
	"net/http"
	"time"
)

// Rotation is a certificate that is being replaced by the app itself, or was.
type Rotation struct {
	ID            string            `json:"id"`
	TenantID      string            `json:"tenant_id"`
	TenantName    string            `json:"tenant_name"`
	ConnectionID  string            `json:"connection_id,omitempty" doc:"Left out: the tenant's reader"`
	Name          string            `json:"name"`
	ClientID      string            `json:"client_id"`
	State         string            `json:"state" enum:"planned,adding,proving,switched,removing,withdrawing,done,undone,guided" doc:"guided: Gatehouse cannot do it; the reason says why"`
	Holder        string            `json:"holder" enum:",application,service_principal" doc:"Where the key lies"`
	ObjectID      string            `json:"object_id,omitempty"`
	OldThumbprint string            `json:"old_thumbprint"`
	OldKeyID      string            `json:"old_key_id,omitempty" doc:"The key that is replaced"`
	OldNotAfter   time.Time         `json:"old_not_after"`
	NewThumbprint string            `json:"new_thumbprint"`
	NewKeyID      string            `json:"new_key_id,omitempty" doc:"The key that was added"`
	NewNotAfter   time.Time         `json:"new_not_after"`
	Others        []OtherCredential `json:"others" nullable:"false" doc:"The app's other credentials: they are left alone"`
	Successes     int               `json:"successes" doc:"Sign-ins in a row with the new one"`
	Reason        string            `json:"reason,omitempty"`
	Undoes        string            `json:"undoes,omitempty" doc:"The rotation that this one takes back"`
	StartedBy     string            `json:"started_by"`
	CreatedAt     time.Time         `json:"created_at"`
	ChangedAt     time.Time         `json:"changed_at"`
	EndedAt       *time.Time        `json:"ended_at,omitempty"`
	Undoable      bool              `json:"undoable"`
}

// OtherCredential is one that a rotation leaves alone.
type OtherCredential struct {
	Holder string     `json:"holder" enum:"application,service_principal"`
	Kind   string     `json:"kind" enum:"secret,certificate"`
	KeyID  string     `json:"key_id"`
	Label  string     `json:"label,omitempty"`
	Ends   *time.Time `json:"ends,omitempty"`
}

// RotationRequest names what is rotated: a connection, or a tenant's reader.
type RotationRequest struct {
	TenantID     string `json:"tenant_id,omitempty" maxLength:"64" doc:"Whose reader"`
	ConnectionID string `json:"connection_id,omitempty" maxLength:"64"`
}

// Rotations lists rotations, the newest first, of a tenant or ("") of all.
func (c *Client) Rotations(ctx context.Context, tenantID string, p Page) (rotations []Rotation, next string, err error) {
	q := p.query()
	set(q, "tenant", tenantID)
	l, err := call[List[Rotation]](ctx, c, request{method: http.MethodGet, path: "/rotations", query: q})
	return l.Items, l.Next, err
}

// BeginRotation has a certificate replaced that is kept on the server.
func (c *Client) BeginRotation(ctx context.Context, r RotationRequest) (Rotation, error) {
	return call[Rotation](ctx, c, request{method: http.MethodPost, path: "/rotations", body: r})
}

// Rotation gives a rotation.
func (c *Client) Rotation(ctx context.Context, id string) (Rotation, error) {
	return call[Rotation](ctx, c, request{method: http.MethodGet, path: path("rotations", id)})
}

// UndoRotation takes a rotation back. After the switch that is a rotation of its own,
// which is given.
func (c *Client) UndoRotation(ctx context.Context, id string) (Rotation, error) {
	return call[Rotation](ctx, c, request{method: http.MethodPost, path: path("rotations", id, "undo")})
}
