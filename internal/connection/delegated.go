package connection

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Person is who signed in for a delegated connection.
type Person struct {
	ObjectID string // in the tenant
	Username string
	ClientID string // of the app that they signed in to
}

// ErrOtherPerson says that a delegated connection is somebody else's.
var ErrOtherPerson = errors.New("the connection is another person's")

// clientOf asks by which client id people sign in for a connection to be made.
func (s *Service) clientOf(ctx context.Context, p Profile) (string, error) {
	if s.Registration == nil {
		return "", tenant.Fault("kind", "is delegated, which needs an app registration", "make one first")
	}
	return s.Registration(ctx, p.RegistrationID, p.Services)
}

// SignedIn notes who signed in, in the transaction that keeps what they earned.
// Whoever signs in first is the connection's person where it named nobody;
// [ErrOtherPerson] for anybody else after that.
func (s *Service) SignedIn(ctx context.Context, tx *sqldb.Tx, id string, p Person) error {
	r, err := find(ctx, tx, id)
	if err != nil {
		return err
	}
	if r.Kind != Delegated {
		return fmt.Errorf("noting a sign-in: the connection is of kind %s", r.Kind)
	}
	if r.ObjectID != "" && r.ObjectID != p.ObjectID || r.ObjectID == "" && r.Username != "" && !strings.EqualFold(r.Username, p.Username) {
		return ErrOtherPerson
	}
	search := strings.ToLower(r.Name + "\n" + p.Username + "\n" + p.ClientID)
	_, err = tx.NewRaw("UPDATE connections SET object_id = ?, username = ?, client_id = ?, search = ? WHERE id = ?", p.ObjectID, p.Username, p.ClientID, search, id).Exec(ctx)
	if err != nil {
		return fmt.Errorf("noting a sign-in: %w", err)
	}
	return s.announce(ctx, tx, r, "signed_in")
}

// delegated holds a new profile against what a sign-in has settled.
func (f *faults) delegated(r *row, p *Profile) {
	p.ClientID = ""
	if p.RegistrationID == "" {
		p.RegistrationID = r.RegistrationID
	}
	if p.RegistrationID != r.RegistrationID {
		f.Add("registration_id", "is another than before", "make a new connection for another app registration")
	}
	if r.ObjectID != "" && !strings.EqualFold(p.Username, r.Username) {
		f.Add("username", "is another than who signed in ("+r.Username+")", "make a connection for the other person")
	}
}
