package api

import (
	"context"
	"crypto/ed25519"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gatehouse/client"
	"gatehouse/internal/audit"
)

// CheckpointKey names the installation's key that signs checkpoints.
const CheckpointKey = "audit checkpoints"

func (f *face) audits(h huma.API) {
	const tag = "Audit"
	export := needs(audit.AuditExport)
	add(f, h, route{access: needs(audit.AuditView), method: http.MethodGet, path: "/audit", id: "list-audit", tag: tag, summary: "List entries, newest first"}, f.listAudit)
	add(f, h, route{access: export, method: http.MethodPost, path: "/audit/verify", id: "verify-audit", tag: tag, summary: "Verify the whole log",
		long: "A log that was changed is a problem of the type conflict that names the first entry in question."}, f.verifyAudit)
	add(f, h, route{access: export, method: http.MethodPost, path: "/audit/checkpoint", id: "checkpoint-audit", tag: tag, summary: "Sign the end of the log",
		long: "Kept off the machine, the answer proves later that nothing up to that entry was rewritten or cut off."}, f.checkpoint)
	add(f, h, route{access: export, method: http.MethodGet, path: "/audit/export", id: "export-audit", tag: tag, summary: "Export the whole log",
		long: "One JSON object a line, for `gatehouse audit verify FILE`."}, f.exportAudit)
	describeStream(h, "/audit/export", "application/x-ndjson", "Entries and checkpoints, oldest first, one JSON object a line", &huma.Schema{Type: huma.TypeString})
}

type auditList struct {
	Paging
	Tenant  string    `query:"tenant" maxLength:"64"`
	Actor   string    `query:"actor" maxLength:"64"`
	Object  string    `query:"object" maxLength:"64"`
	Action  string    `query:"action" maxLength:"64"`
	Search  string    `query:"search" maxLength:"100" doc:"In action, and name of actor and object, of the newest 20,000 entries"`
	Outcome string    `query:"outcome" enum:"done,refused,failed"`
	From    time.Time `query:"from" doc:"Inclusive"`
	To      time.Time `query:"to" doc:"Exclusive"`
}

func (f *face) listAudit(ctx context.Context, in *auditList) (*body[client.List[client.AuditEntry]], error) {
	before, err := number(in.After)
	if err != nil {
		return nil, err
	}
	all, err := f.Audit.List(ctx, audit.Filter{
		TenantID: in.Tenant, ActorID: in.Actor, ObjectID: in.Object, Action: in.Action, Search: in.Search, Outcome: audit.Outcome(in.Outcome), From: in.From, To: in.To, Before: before, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	next := ""
	if len(all) == in.Limit {
		next = strconv.FormatInt(all[len(all)-1].Seq, 10)
	}
	return list(all, next, func(r audit.Record) client.AuditEntry {
		return client.AuditEntry{
			Seq: r.Seq, At: r.At, ActorKind: string(r.ActorKind), ActorID: r.ActorID, ActorName: r.ActorName, Address: r.Address, Action: r.Action,
			ObjectKind: r.ObjectKind, ObjectID: r.ObjectID, ObjectName: r.ObjectName, Details: r.Details, TenantID: r.TenantID, Outcome: string(r.Outcome), Hash: r.Hash,
		}
	}), nil
}

// number reads a cursor that is a number; 0 if there is none.
func number(cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || n < 1 {
		return 0, invalid(client.Fault{Field: "query.after", Problem: "is no cursor of this list", Way: "give the next of the page before, or leave it out"})
	}
	return n, nil
}

func publicKeys(key ed25519.PrivateKey) []ed25519.PublicKey {
	return []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}
}

func (f *face) verifyAudit(ctx context.Context, _ *struct{}) (*body[client.AuditReport], error) {
	key, err := f.Keys.SigningKey(ctx, CheckpointKey)
	if err != nil {
		return nil, err
	}
	r, err := f.Audit.Verify(ctx, publicKeys(key))
	if err != nil {
		return nil, err
	}
	return with(client.AuditReport{Entries: r.Entries, Hash: r.Hash, Erased: r.Erased, Checkpoints: r.Checkpoints, Signed: r.Signed}), nil
}

func (f *face) checkpoint(ctx context.Context, _ *struct{}) (*body[client.AuditCheckpoint], error) {
	key, err := f.Keys.SigningKey(ctx, CheckpointKey)
	if err != nil {
		return nil, err
	}
	c, err := f.Audit.Checkpoint(ctx, key)
	if err != nil {
		return nil, err
	}
	return with(client.AuditCheckpoint{Seq: c.Seq, Hash: c.Hash, At: c.At, Key: c.Key, Signature: c.Signature}), nil
}

func (f *face) exportAudit(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	// Refuse before the answer has begun.
	if err := f.Audit.Allow(ctx, audit.AllTenants, audit.AuditExport); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		h.SetHeader("Content-Type", "application/x-ndjson")
		if err := f.Audit.Export(ctx, newPatient(h)); err != nil {
			f.Log.ErrorContext(ctx, "exporting the audit log", "error", err, "request", requestID(ctx))
			// The answer is under way: breaking it off is the only way to say so.
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

// writePatience is how long a client may take to accept a part of a stream.
const writePatience = 10 * time.Second

// patient writes a long answer: it may take as long as the client goes on
// reading.
type patient struct {
	w       io.Writer
	control *http.ResponseController
}

func newPatient(h huma.Context) *patient {
	_, w := humago.Unwrap(h)
	return &patient{w: h.BodyWriter(), control: http.NewResponseController(w)}
}

func (p *patient) Write(data []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
		return 0, err
	}
	return p.w.Write(data)
}
