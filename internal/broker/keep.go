package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

func rotated(err error) bool { return errors.Is(err, secrets.ErrRotated) }

// ErrNoRefresh says that a sign-in earned nothing to go on with.
var ErrNoRefresh = errors.New("the sign-in gave no refresh token, so it would end within the hour: the app has to ask for offline_access, and somebody to consent to it")

// Keep takes over what a person's sign-in earned, in the transaction that notes the
// sign-in, in place of what was there. It asks for no permission: who signed
// somebody in had it. [ErrNoRefresh] if there is nothing to go on with.
func (s *Service) Keep(ctx context.Context, tx *sqldb.Tx, g Grant) error {
	if g.Refresh.Empty() {
		return ErrNoRefresh
	}
	st, err := find(ctx, tx, g.ConnectionID, s.time())
	if err != nil {
		return err
	}
	if st.Kind != connection.Delegated {
		return fmt.Errorf("keeping a sign-in: the connection is of kind %s", st.Kind)
	}
	before := st.grantRow
	sealed, err := s.Keys.Seal(ctx, tx, "grants", g.ConnectionID, "refresh", g.Refresh)
	if err != nil {
		return err
	}
	amr, err := json.Marshal(g.AMR)
	if err != nil {
		return fmt.Errorf("keeping a sign-in: %w", err)
	}
	now := s.time()
	r := fresh(g.ConnectionID, st.OfTenant, now)
	r.Generation, r.Turn = before.Generation+1, before.Turn+1
	r.RegistrationID, r.ClientID, r.Cloud, r.DirectoryID, r.ObjectID, r.Username = g.RegistrationID, g.ClientID, g.Cloud, g.DirectoryID, g.ObjectID, g.Username
	r.Flow, r.KeptBy, r.Refresh, r.Resource, r.AMR = g.Flow, g.By, sealed, g.Resource, string(amr)
	r.SignedInAt, r.RefreshedAt, r.FactorLasted = &now, &now, before.FactorLasted
	if at := g.AuthTime.UTC(); !g.AuthTime.IsZero() {
		r.AuthTime = &at
	}
	if before.State == Ready {
		r.Since = before.Since
	}
	if err := s.put(ctx, tx, r); err != nil {
		return err
	}
	st.grantRow = *r
	if uri, err := s.resourceOf(ctx, st, g.Resource); err == nil && !g.Access.Access.Empty() && g.Access.Expires.After(now) {
		if err := s.keepToken(ctx, tx, st, s.kept(g.Access, target{resource: uri}, "")); err != nil {
			return err
		}
	}
	return s.moved(ctx, tx, st, before.State)
}

// put writes a whole row.
func (s *Service) put(ctx context.Context, tx *sqldb.Tx, r *grantRow) error {
	if _, err := tx.NewRaw("DELETE FROM access_tokens WHERE connection_id = ?", r.ConnectionID).Exec(ctx); err != nil {
		return fmt.Errorf("forgetting kept tokens: %w", err)
	}
	q := tx.NewInsert().Model(r).On("CONFLICT (connection_id) DO UPDATE")
	for _, column := range []string{
		"generation", "registration_id", "client_id", "cloud", "directory_id", "object_id", "username", "flow", "kept_by", "refresh", "resource", "auth_time", "amr", "signed_in_at", "signed_out_at", "factor_lasted",
		"turn", "refreshed_at", "state", "since", "diagnosis", "reason", "failure", "failures", "retry_at", "warned", "claimant", "claimed_until", "tried_version", "tried",
	} {
		q.Set("? = EXCLUDED.?", bun.Ident(column), bun.Ident(column))
	}
	if _, err := q.Exec(ctx); err != nil {
		return fmt.Errorf("keeping a sign-in: %w", err)
	}
	return nil
}

// Forget ends a connection's sign-in, in the transaction that notes why: what is
// sealed is forgotten, who had signed in is still known. It asks for no permission.
func (s *Service) Forget(ctx context.Context, tx *sqldb.Tx, connectionID, why string) error {
	st, err := find(ctx, tx, connectionID, s.time())
	if err != nil || !st.HasRow {
		return err
	}
	before, now := st.State, s.time()
	r := st.grantRow
	r.Generation++
	r.Turn++
	r.Refresh, r.SignedOutAt, r.State, r.Since, r.Reason = []byte{}, &now, NeedsSignIn, now, why
	r.Diagnosis, r.Failure, r.Failures, r.RetryAt, r.Claimant, r.ClaimedUntil = "", "", 0, nil, "", nil
	if err := s.put(ctx, tx, &r); err != nil {
		return err
	}
	st.grantRow = r
	return s.moved(ctx, tx, st, before)
}

// moved announces what a connection has come to, after its row was written.
func (s *Service) moved(ctx context.Context, tx *sqldb.Tx, st *standing, before string) error {
	tx.OnCommit(func() { s.memory.drop(st.ID, "") })
	if err := s.Live.Publish(ctx, tx, Topic+st.ID, st.OfTenant, map[string]string{"connection": st.ID, "state": st.State}); err != nil {
		return err
	}
	// The connection's page shows it too.
	if err := s.Live.Publish(ctx, tx, "tenant/"+st.OfTenant, st.OfTenant, map[string]string{"tenant": st.OfTenant, "connection": st.ID, "changed": "token"}); err != nil {
		return err
	}
	if s.Tell == nil || (before == Ready) == (st.State == Ready) {
		return nil
	}
	n := News{ConnectionID: st.ID, TenantID: st.OfTenant, Name: st.Name, State: st.State, What: "stopped", Path: path(st.ID), At: s.time()}
	n.Title, n.Text = fmt.Sprintf("%s gives no tokens: %s", st.Name, inWords[st.State]), st.Reason
	if st.State == Ready {
		n.What, n.Title, n.Text = "works", st.Name+" gives tokens again", ""
	}
	return s.Tell(ctx, tx, n)
}

// inWords are the states for people.
var inWords = map[string]string{
	Ready: "ready", NeedsSignIn: "the person has to sign in", NeedsMFA: "the person has to sign in with a second factor", NeedsConsent: "the app lacks consent in the tenant",
	Parked: "it stands still until somebody acts",
}

// Revocable gives a token for Graph with which the person's sign-ins can be
// revoked, for who has authorised on the connection. The error says why there is
// none.
func (s *Service) Revocable(ctx context.Context, connectionID string) (login.Token, error) {
	given, err := s.give(ctx, connectionID, Ask{Resource: connection.Graph})
	return given.Token, err
}

// TryAgain lets the sign-in service be asked at once, whatever it said before.
func (s *Service) TryAgain(ctx context.Context, connectionID string) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		st, err := find(ctx, tx, connectionID, s.time())
		if err != nil {
			return err
		}
		if err := s.Audit.Act(ctx, tx, st.entry(audit.ConnectionValidate, "token.tried_again", nil)); err != nil {
			return err
		}
		if _, err := tx.NewRaw("UPDATE grants SET retry_at = NULL, failures = 0 WHERE connection_id = ?", connectionID).Exec(ctx); err != nil {
			return fmt.Errorf("trying again: %w", err)
		}
		tx.OnCommit(func() { s.memory.drop(connectionID, "") })
		return nil
	})
}

// entry is what is written down about a connection's tokens.
func (st *standing) entry(p audit.Permission, action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: p, TenantID: st.OfTenant, Action: action, ObjectKind: "connection", ObjectID: st.ID, ObjectName: st.Name, Details: details}
}

// Erase takes a person's names out of what they had others do. It is an
// [gatehouse/internal/operator.Eraser].
func (s *Service) Erase(ctx context.Context, tx *sqldb.Tx, _ string, names []string) error {
	if _, err := tx.NewRaw("UPDATE grants SET kept_by = '' WHERE kept_by IN (?)", bun.List(names)).Exec(ctx); err != nil {
		return fmt.Errorf("erasing a person from sign-ins: %w", err)
	}
	return nil
}
