package signin

import (
	"context"
	"fmt"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// OutReport says what a sign-out did.
type OutReport struct {
	Forgotten bool   // the tokens are gone from here
	Revoked   bool   // Microsoft revoked the person's sign-ins, everywhere
	Why       string // why nothing was revoked, where that was asked for
}

// Out signs a connection's person out: the sealed tokens are forgotten, history
// stays. With revoke, Microsoft is asked to revoke the person's sign-ins, which
// signs them out of everything, not of this connection alone (Graph: user
// revokeSignInSessions); that needs a permission that few connections have, and
// the report says where it could not be done.
func (s *Service) Out(ctx context.Context, connectionID string, revoke bool) (OutReport, error) {
	c, err := s.manageable(ctx, connectionID)
	if err != nil {
		return OutReport{}, err
	}
	if s.Forget == nil {
		return OutReport{}, ErrRegistration
	}
	actor, _ := audit.From(ctx)
	r := &attemptRow{TenantID: c.TenantID, ConnectionID: c.ID, ActorKind: actor.Kind, ActorName: actor.Name}
	var report OutReport
	if revoke {
		if err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			return s.Audit.Act(ctx, tx, r.entry(c.Name, "connection.sign_ins_to_be_revoked", map[string]any{"person": c.Username}))
		}); err != nil {
			return OutReport{}, err
		}
		if err := s.revoke(ctx, c.ID, c.TenantID); err != nil {
			report.Why = err.Error()
		} else {
			report.Revoked = true
		}
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, r.entry(c.Name, "connection.signed_out", map[string]any{"person": c.Username, "revoke": revoke, "revoked": report.Revoked, "why": clip(report.Why, 1000)})); err != nil {
			return err
		}
		if err := s.Forget(ctx, tx, c.ID, "signed out by "+actor.Name); err != nil {
			return err
		}
		return s.note(ctx, tx, r, &Event{Outcome: SignedOut, Person: c.Username, ObjectID: c.ObjectID, Words: report.words(revoke)})
	})
	report.Forgotten = err == nil
	return report, err
}

func (r OutReport) words(revoke bool) string {
	switch {
	case r.Revoked:
		return "The tokens were forgotten here, and Microsoft revoked the person's sign-ins everywhere"
	case revoke:
		return "The tokens were forgotten here; Microsoft could not be asked to revoke the sign-ins: " + r.Why
	}
	return "The tokens were forgotten here"
}

// revoke asks Graph to revoke the sign-ins of whoever the connection is of.
func (s *Service) revoke(ctx context.Context, connectionID, tenantID string) error {
	if s.Revocable == nil {
		return fmt.Errorf("there is no token to ask with")
	}
	token, err := s.Revocable(ctx, connectionID)
	if err != nil {
		return err
	}
	directory, err := s.Tenants.Directory(ctx, tenantID)
	if err != nil {
		return err
	}
	client, err := graph.New(graph.Config{Cloud: s.Cloud, Pace: s.Pace, Tenant: directory.DirectoryID, Token: func(context.Context) (secrets.Value, error) { return token.Access, nil }})
	if err != nil {
		return err
	}
	var answer struct {
		Value bool `json:"value"`
	}
	return client.Create(pace.Interactive(ctx), "/v1.0/me/revokeSignInSessions", struct{}{}, &answer)
}
