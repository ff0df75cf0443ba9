package operator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sso"
)

var objectID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

const (
	// flowLifetime is how long a sign-in at the issuer may take.
	flowLifetime = 10 * time.Minute
	// ssoLifetime is how long a session lasts that was begun through the
	// directory: whoever loses their access there, loses it here within this time.
	// The next sign-in takes no password where the issuer still knows the browser.
	ssoLifetime = time.Hour
)

// flowRow is a sign-in that was begun.
type flowRow struct {
	bun.BaseModel `bun:"table:sso_flows"`

	ID         string `bun:"id,pk"`
	TokenHash  string
	OperatorID string
	Flow       []byte
	Next       string
	CreatedAt  time.Time
	UsedAt     *time.Time
}

// BeginSSO begins to sign in through the directory. It gives the address to which
// the browser is sent, and the token of a cookie that makes sure that this browser
// comes back. With a session, its operator links the directory account to their
// own instead of signing in: it must be fresh, as for all that changes how one
// signs in. next is a path of the console.
func (s *Service) BeginSSO(ctx context.Context, link *Session, next string, visit Visit) (address string, token secrets.Value, err error) {
	if s.sso == nil {
		return "", token, ErrMissing
	}
	if err := s.visits.Take(visit.Address); err != nil {
		return "", token, err
	}
	if len(next) > 2000 {
		next = "/"
	}
	now := s.time()
	token = newToken()
	row := flowRow{ID: newID(), TokenHash: hashToken(token), Next: next, CreatedAt: now}
	if link != nil {
		if err := s.mayEnrol(link); err != nil {
			return "", token, err
		}
		row.OperatorID = link.OperatorID
	}
	address, flow, err := s.sso.Begin(ctx, newToken().Reveal(), newToken().Reveal())
	if err != nil {
		return "", secrets.Value{}, err
	}
	text, err := json.Marshal(flow)
	if err != nil {
		return "", secrets.Value{}, fmt.Errorf("beginning to sign in: %w", err)
	}
	err = s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if row.Flow, err = s.keyring.Seal(ctx, tx, "sso_flows", row.ID, "flow", secrets.New(string(text))); err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&row).Exec(ctx)
		return err
	})
	if err != nil {
		return "", secrets.Value{}, fmt.Errorf("beginning to sign in: %w", err)
	}
	return address, token, nil
}

// takeFlow uses up the sign-in that a browser began. Right or wrong, an answer is
// looked at once.
func (s *Service) takeFlow(ctx context.Context, token secrets.Value) (row flowRow, flow sso.Flow, err error) {
	err = s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := tx.NewSelect().Model(&row).Where("token_hash = ?", hashToken(token)).Scan(ctx)
		if sqldb.Missing(err) || token.Empty() {
			return &sso.Refusal{Reason: sso.State, Detail: "this browser has begun no sign-in"}
		}
		if err != nil {
			return fmt.Errorf("reading a sign-in: %w", err)
		}
		return met(&sso.Refusal{Reason: sso.Replayed, Detail: "the answer was used already"})(
			tx.NewUpdate().Model((*flowRow)(nil)).Set("used_at = ?", s.time()).Where("id = ?", row.ID).Where("used_at IS NULL").Exec(ctx))
	})
	if err != nil {
		return row, flow, err
	}
	if !s.time().Before(row.CreatedAt.Add(flowLifetime)) {
		return row, flow, &sso.Refusal{Reason: sso.Lapsed, Detail: "begun at " + row.CreatedAt.UTC().Format(time.RFC3339)}
	}
	text, err := s.keyring.Open(ctx, "sso_flows", row.ID, "flow", row.Flow)
	if err != nil {
		return row, flow, err
	}
	if err := json.Unmarshal([]byte(text.Reveal()), &flow); err != nil {
		return row, flow, fmt.Errorf("reading a sign-in: %w", err)
	}
	return row, flow, nil
}

// FinishSSO takes the issuer's answer, with the token of the cookie, and signs the
// person in. It gives the session, none if an account was only linked, and the
// path to go to. What is refused is a [*sso.Refusal].
func (s *Service) FinishSSO(ctx context.Context, token secrets.Value, answer sso.Answer, visit Visit) (issued Issued, next string, err error) {
	if s.sso == nil {
		return Issued{}, "", ErrMissing
	}
	if err := s.visits.Take(visit.Address); err != nil {
		return Issued{}, "", err
	}
	row, flow, err := s.takeFlow(ctx, token)
	if err != nil {
		return Issued{}, "", err
	}
	who, err := s.sso.Finish(ctx, flow, answer)
	if err == nil && row.OperatorID != "" {
		return Issued{}, row.Next, s.link(ctx, row.OperatorID, who, visit)
	}
	if err == nil {
		issued, err = s.enter(ctx, who, visit)
	}
	if refusal, ok := errors.AsType[*sso.Refusal](err); ok && refusal.Who.Subject == "" {
		// Nobody is known yet: counted only, so that the log cannot be filled from
		// outside.
		s.audit.Count(audit.With(ctx, audit.Actor{Kind: audit.Visitor, Address: visit.Address}), "operator.sign_in refused: "+string(refusal.Reason), "", audit.AllTenants)
	}
	return issued, row.Next, err
}

// enter signs a person in whom the issuer has vouched for.
func (s *Service) enter(ctx context.Context, who *sso.Person, visit Visit) (Issued, error) {
	found, err := s.meeting(ctx, who)
	if err != nil {
		if refusal, ok := errors.AsType[*sso.Refusal](err); ok {
			return Issued{}, s.keepOut(ctx, who, refusal.Reason, err, visit)
		}
		return Issued{}, err
	}
	var issued Issued
	err = s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		i, o, err := s.account(ctx, tx, who, len(found) > 0)
		if err != nil {
			return err
		}
		if err := s.confirm(ctx, tx, i, found); err != nil {
			return err
		}
		if o, err = s.find(ctx, tx, "id", o.ID); err != nil {
			return err
		}
		if len(o.Roles) == 0 {
			return &sso.Refusal{Reason: sso.NoAccess, Who: *who}
		}
		ctx = audit.With(ctx, o.actor(visit.Address))
		details := map[string]any{"by": "sso", "directory": who.Directory, "subject": who.Subject, "groups_from": who.GroupsFrom(), "assignments": len(found)}
		if err := s.audit.Act(ctx, tx, o.self("operator.sign_in", details)); err != nil {
			return err
		}
		issued, err = s.openSession(ctx, tx, o, StageSignedIn, visit, func(n *Session) { n.Method, n.ExpiresAt = SSO, n.CreatedAt.Add(ssoLifetime) })
		return err
	})
	if refusal, ok := errors.AsType[*sso.Refusal](err); ok {
		return Issued{}, s.keepOut(ctx, who, refusal.Reason, refusal, visit)
	}
	return issued, err
}

// account finds the operator behind a directory account, or makes one for somebody
// who has a role by assignment.
func (s *Service) account(ctx context.Context, tx *sqldb.Tx, who *sso.Person, assigned bool) (*identity, *Operator, error) {
	i, err := s.findIdentity(ctx, tx, who)
	if err != nil {
		return nil, nil, err
	}
	if i != nil {
		i.Username = bounded(who.Username)
		o, err := s.find(ctx, tx, "id", i.OperatorID)
		if err == nil && o.DisabledAt != nil {
			err = &sso.Refusal{Reason: sso.Disabled, Who: *who}
		}
		return i, o, err
	}
	if !assigned {
		return nil, nil, &sso.Refusal{Reason: sso.NoAccess, Who: *who}
	}
	now := s.time()
	o := &Operator{ID: newID(), Email: normalise(who.Username), Name: bounded(who.Name), CreatedAt: now}
	if o.Name == "" {
		o.Name = bounded(who.Username)
	}
	if checkPerson(o.Email, "x") != nil {
		sum := sha256.Sum256([]byte(who.Directory + "\n" + who.Subject))
		o.Email = hex.EncodeToString(sum[:8]) + "@directory.invalid" // RFC 2606: nobody's
	}
	if err := checkPerson(o.Email, o.Name); err != nil {
		o.Name = o.Email
	}
	if _, err := s.find(ctx, tx, "email", o.Email); err == nil {
		// An address proves nothing: that account's owner has to link the two.
		return nil, nil, &sso.Refusal{Reason: sso.AddressUsed, Who: *who}
	} else if !errors.Is(err, ErrMissing) {
		return nil, nil, err
	}
	if _, err := tx.NewInsert().Model(o).Exec(ctx); err != nil {
		return nil, nil, fmt.Errorf("making an operator: %w", err)
	}
	return &identity{ID: newID(), OperatorID: o.ID, Directory: who.Directory, Subject: who.Subject, Username: bounded(who.Username), CreatedAt: now}, o, nil
}

// keepOut writes down that somebody whom the issuer vouched for is not let in. If
// they were an operator, what they had through the directory is gone, and the
// sessions begun through it with it.
func (s *Service) keepOut(ctx context.Context, who *sso.Person, reason sso.Reason, cause error, visit Visit) error {
	i, err := s.findIdentity(ctx, s.db.Read(), who)
	if err != nil {
		return errors.Join(cause, err)
	}
	a := audit.Actor{Kind: audit.Visitor, Name: bounded(who.Username), Address: visit.Address}
	e := audit.Entry{
		Permission: audit.Self, Action: "operator.sign_in", ObjectKind: "operator", ObjectName: bounded(who.Username), Outcome: audit.OutcomeFailed,
		Details: map[string]any{"by": "sso", "reason": reason, "directory": who.Directory, "subject": who.Subject},
	}
	if i != nil {
		a.Kind, a.ID, e.ObjectID = audit.Operator, i.OperatorID, i.OperatorID
	}
	err = s.alter(audit.With(ctx, a), func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.audit.Act(ctx, tx, e); err != nil {
			return err
		}
		// Groups that could not be read are no proof that somebody was removed.
		if i == nil || reason != sso.NoAccess {
			return nil
		}
		if err := s.confirm(ctx, tx, i, nil); err != nil {
			return err
		}
		_, err := tx.NewDelete().Model((*Session)(nil)).Where("operator_id = ?", i.OperatorID).Where("method = ?", SSO).Exec(ctx)
		return err
	})
	return errors.Join(cause, err)
}

// link joins a directory account to an operator who is signed in locally.
func (s *Service) link(ctx context.Context, operatorID string, who *sso.Person, visit Visit) error {
	found, err := s.meeting(ctx, who)
	if err != nil {
		return err
	}
	o, err := s.find(ctx, s.db.Read(), "id", operatorID)
	if err != nil {
		return err
	}
	if o.DisabledAt != nil {
		return &sso.Refusal{Reason: sso.Disabled, Who: *who}
	}
	return s.alter(audit.With(ctx, o.actor(visit.Address)), func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.audit.Act(ctx, tx, o.self("operator.linked", map[string]any{"directory": who.Directory, "subject": who.Subject})); err != nil {
			return err
		}
		i, err := s.findIdentity(ctx, tx, who)
		if err != nil {
			return err
		}
		if i != nil && i.OperatorID != operatorID {
			return &sso.Refusal{Reason: sso.Linked, Who: *who}
		}
		if i == nil {
			i = &identity{ID: newID(), OperatorID: operatorID, Directory: who.Directory, Subject: who.Subject, CreatedAt: s.time()}
		}
		i.Username = bounded(who.Username)
		return s.confirm(ctx, tx, i, found)
	})
}

// Whom names up to three of those who can give somebody a role: administrators of
// all tenants.
func (s *Service) Whom(ctx context.Context) []string {
	var names []string
	err := s.db.Read().NewSelect().Model((*Operator)(nil)).Column("name").Where("disabled_at IS NULL").
		Where("EXISTS (SELECT 1 FROM operator_roles AS r WHERE r.operator_id = o.id AND r.tenant_id = ? AND r.role = ?)", audit.AllTenants, audit.Administrator.String()).
		Order("created_at").Limit(3).Scan(ctx, &names)
	if err != nil {
		return nil // the page says "an administrator" then
	}
	return names
}
