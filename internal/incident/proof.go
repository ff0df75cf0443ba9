package incident

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/pace"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// Proof is whether the software itself was seen to sign in since its connection
// worked again for Gatehouse.
type Proof struct {
	State  ProofState
	Since  time.Time // when it worked for Gatehouse
	SeenAt *time.Time
	From   string // address of the sign-in that was seen
	App    string // app through which it was, as the log names it
	Reason string // why nothing is known
	Looks  bool   // the log is still looked at
}

// ProofState is how far a proof is.
type ProofState string

// The states of a proof.
const (
	NotYetSeen ProofState = "waiting"
	Seen       ProofState = "seen"
	NotKnown   ProofState = "unknown"
)

type proofRow struct {
	bun.BaseModel `bun:"table:connection_proofs,alias:p"`

	ConnectionID string `bun:"connection_id,pk"`
	TenantID     string
	State        ProofState
	Since        time.Time
	SeenAt       *time.Time
	SeenFrom     string
	SeenApp      string
	Reason       string
	Looks        int
	NextAt       *time.Time
}

func (r *proofRow) proof() *Proof {
	return &Proof{State: r.State, Since: r.Since.UTC(), SeenAt: utc(r.SeenAt), From: r.SeenFrom, App: r.SeenApp, Reason: r.Reason, Looks: r.NextAt != nil}
}

const (
	// lag is how long entries take to the log (graph-mfa-posture: minutes).
	lag = 5 * time.Minute
	// rarest is how far apart looks for one connection lie at most.
	rarest = 6 * time.Hour
	// patience is how long the log is looked at for one connection.
	patience = 14 * 24 * time.Hour
	// dueAtOnce and perTenant bound one round of looks: reports take five
	// requests in ten seconds of an app in a tenant.
	dueAtOnce = 200
	perTenant = 5
	// newest is how many entries one look reads; the log has the newest first.
	newest = 1000
)

// await begins to look for the software of a connection that works again. One
// whose credential only Gatehouse uses has none that could be seen.
func (s *Service) await(ctx context.Context, tx *sqldb.Tx, c connection.Connection) error {
	if c.Consumer.HoldsCredential != connection.HeldByConsumer {
		return unproved(ctx, tx, c.ID)
	}
	now := s.time()
	next := now.Add(lag)
	r := &proofRow{ConnectionID: c.ID, TenantID: c.TenantID, State: NotYetSeen, Since: now, NextAt: &next}
	_, err := tx.NewInsert().Model(r).On("CONFLICT (connection_id) DO UPDATE").
		Set("state = EXCLUDED.state, since = EXCLUDED.since, seen_at = NULL, seen_from = '', seen_app = '', reason = '', looks = 0, next_at = EXCLUDED.next_at").Exec(ctx)
	if err != nil {
		return fmt.Errorf("noting what is to be proved: %w", err)
	}
	return nil
}

// unproved forgets what was seen of a connection that does not work any more.
func unproved(ctx context.Context, tx *sqldb.Tx, connectionID string) error {
	if _, err := tx.NewRaw("DELETE FROM connection_proofs WHERE connection_id = ?", connectionID).Exec(ctx); err != nil {
		return fmt.Errorf("forgetting a proof: %w", err)
	}
	return nil
}

// Proof gives what is known of a connection's software; nil if nothing is to be
// proved.
func (s *Service) Proof(ctx context.Context, connectionID string) (*Proof, error) {
	var r proofRow
	err := s.DB.Read().NewSelect().Model(&r).Where("p.connection_id = ?", connectionID).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a proof: %w", err)
	}
	if err := s.Audit.Allow(ctx, r.TenantID, audit.ConnectionView); err != nil {
		return nil, err
	}
	return r.proof(), nil
}

// Prove looks into the sign-in logs for the software of the connections that are
// due. It is for jobs.
func (s *Service) Prove(ctx context.Context) error {
	var due []proofRow
	err := s.DB.Read().NewSelect().Model(&due).Join("JOIN tenants AS t ON t.id = p.tenant_id").Where("p.next_at <= ? AND NOT t.paused", s.time()).OrderExpr("p.next_at, p.connection_id").Limit(dueAtOnce).Scan(ctx)
	if err != nil {
		return fmt.Errorf("looking for what is to be proved: %w", err)
	}
	asked := map[string]int{}
	for i := range due {
		if asked[due[i].TenantID]++; asked[due[i].TenantID] > perTenant {
			continue // the next round
		}
		if err := s.look(ctx, &due[i]); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// look reads the log for one connection and notes what it says.
func (s *Service) look(ctx context.Context, r *proofRow) error {
	c, err := s.Connections.Get(ctx, r.ConnectionID)
	if errors.Is(err, connection.ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	entry, err := s.sighting(ctx, c, r.Since)
	var busy *pace.Busy
	if ctx.Err() != nil || errors.As(err, &busy) {
		return ctx.Err() // its turn comes again
	}
	r.State, r.Reason = NotYetSeen, ""
	switch {
	case err != nil:
		r.State, r.Reason = NotKnown, whyNotKnown(err)
	case entry != nil:
		seen := entry.CreatedDateTime.UTC()
		r.State, r.SeenAt, r.SeenFrom, r.SeenApp = Seen, &seen, clip(entry.IPAddress), clip(entry.AppDisplayName)
	}
	r.NextAt = r.after(s.time())
	r.Looks++
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		// Meanwhile it may have stopped, and worked once more.
		done, err := tx.NewUpdate().Model(r).Column("state", "seen_at", "seen_from", "seen_app", "reason", "looks", "next_at").WherePK().Where("since = ?", r.Since.UTC()).Exec(ctx)
		if err != nil {
			return fmt.Errorf("noting a proof: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return s.Live.Publish(ctx, tx, validation.Topic(r.ConnectionID), r.TenantID, map[string]string{"connection": r.ConnectionID, "proof": string(r.State)})
	})
}

// after is when the log is read again; nil for no more.
func (r *proofRow) after(now time.Time) *time.Time {
	wait := min(lag<<min(r.Looks, 10), rarest)
	if r.State == NotKnown {
		wait = rarest // until there is a reader, or a licence
	}
	next := now.Add(wait)
	if r.State == Seen || next.Sub(r.Since) > patience {
		return nil
	}
	return &next
}

// sighting finds a sign-in of a connection's software; nil if there is none yet.
func (s *Service) sighting(ctx context.Context, c connection.Connection, since time.Time) (*graph.SignIn, error) {
	client, err := s.Tenants.ReaderGraph(ctx, c.TenantID)
	if err != nil {
		return nil, err
	}
	who, kinds := "appId eq "+quote(c.ClientID), "t eq 'servicePrincipal'"
	if c.Kind == connection.ServiceAccount {
		who, kinds = "userPrincipalName eq "+quote(strings.ToLower(c.Username)), "t eq 'interactiveUser' or t eq 'nonInteractiveUser'"
	}
	filter := fmt.Sprintf("createdDateTime ge %s and %s and status/errorCode eq 0 and signInEventTypes/any(t:%s)", since.UTC().Format(time.RFC3339), who, kinds)
	var page struct {
		Value []graph.SignIn `json:"value"`
	}
	if err := client.Get(ctx, fmt.Sprintf("/beta/auditLogs/signIns?$top=%d&$filter=%s", newest, graph.QueryValue(filter)), &page); err != nil {
		return nil, err
	}
	for i := range page.Value {
		if theirs(c, page.Value[i], since) {
			return &page.Value[i], nil
		}
	}
	return nil, nil
}

// theirs reports whether an entry of the log is a sign-in of the software of a
// connection: it succeeded, by this identity, was not Gatehouse's own, and came
// from one of the software's addresses where they are known.
func theirs(c connection.Connection, e graph.SignIn, since time.Time) bool {
	if e.Status.ErrorCode != 0 || e.CreatedDateTime.Before(since) || login.Ours(e.CorrelationID) {
		return false
	}
	if c.Kind == connection.ServiceAccount && !strings.EqualFold(e.UserPrincipalName, c.Username) || c.Kind == connection.App && !strings.EqualFold(e.AppID, c.ClientID) {
		return false
	}
	return len(c.Consumer.Addresses) == 0 || within(e.IPAddress, c.Consumer.Addresses)
}

// within reports whether an address is one of some addresses and ranges.
func within(address string, of []string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, text := range of {
		if one, err := netip.ParseAddr(text); err == nil && one.Unmap() == a {
			return true
		}
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(a) {
			return true
		}
	}
	return false
}

// whyNotKnown says why the log could not be read, and the way out.
func whyNotKnown(err error) string {
	var e *microsoft.Error
	switch {
	case errors.Is(err, tenant.ErrNoReader):
		return "the tenant has no reader that works, so its sign-in log cannot be read: set one up on the tenant's page"
	case errors.As(err, &e) && e.Code == "Authentication_RequestFromNonPremiumTenantOrB2CTenant":
		return "the tenant has no Entra ID P1 licence, without which Microsoft shows nobody the sign-in log"
	case errors.As(err, &e) && e.Status == http.StatusForbidden:
		return "the reader may not read the sign-in log: grant it AuditLog.Read.All"
	}
	return clip("the sign-in log could not be read: " + err.Error())
}

// quote writes a text for a filter of Graph.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// clip bounds what others have written, for a column and a page.
func clip(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
