package signin

import (
	"context"
	"strings"

	"gatehouse/internal/microsoft/login"
)

// right demands that the person who signed in is the one who is meant.
func (s *Service) right(ctx context.Context, r *attemptRow, who login.Identity) error {
	if refusal := foreign(r, who); refusal != nil {
		return refusal
	}
	c, err := s.Connections.Get(ctx, r.ConnectionID)
	if err != nil {
		return err
	}
	if c.ObjectID != "" {
		if !strings.EqualFold(c.ObjectID, who.ObjectID) {
			return s.other(who, c.Username)
		}
		return nil // the person may be called otherwise by now
	}
	expected := c.Username
	if r.LinkID != "" {
		link, err := s.findLink(ctx, r.LinkID)
		if err != nil {
			return err
		}
		expected = orElse(link.Person, expected)
	}
	if expected != "" && !strings.EqualFold(expected, who.Username) {
		return s.other(who, expected)
	}
	return nil
}

// foreign recognises somebody of another organisation: a guest by acct, and whoever
// another tenant vouched for by idp (both of the id token, see "ID token claims
// reference" at Microsoft).
func foreign(r *attemptRow, who login.Identity) *Refusal {
	elsewhere := who.Provider != "" && !strings.Contains(strings.ToLower(who.Provider), strings.ToLower(r.DirectoryID))
	if !who.Guest && !elsewhere {
		return nil
	}
	words := named(who) + " is of another organisation: a partner's delegated administrator, or a guest, cannot lend this connection their sign-in. Sign in with an account of the organisation itself"
	if who.Guest {
		words = named(who) + " is a guest here: a guest's sign-in ends when their own organisation says so. Sign in with an account of the organisation itself"
	}
	refusal := refuse(Foreign, words, "guest %t, identity provider %.200q", who.Guest, who.Provider)
	refusal.Who, refusal.ObjectID = who.Username, who.ObjectID
	return refusal
}

// other refuses somebody else than expected, with both names.
func (s *Service) other(who login.Identity, expected string) *Refusal {
	refusal := refuse(OtherPerson, "You signed in as "+named(who)+", and this connection is for "+expected, "object id %s", who.ObjectID)
	refusal.Who, refusal.ObjectID = who.Username, who.ObjectID
	return refusal
}

func named(who login.Identity) string { return orElse(who.Username, "the account "+who.ObjectID) }
