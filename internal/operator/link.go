package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

const linkLifetime = 24 * time.Hour

// link is a set-up link as it is stored.
type link struct {
	bun.BaseModel `bun:"table:setup_links"`

	TokenHash  string `bun:"token_hash,pk"`
	OperatorID string // "" for the first administrator
	CreatedAt  time.Time
	ExpiresAt  time.Time
	UsedAt     *time.Time
}

// FirstLink gives the token of a link with which the first administrator sets
// themselves up, for the server to print at each start; the empty Value if there
// is an administrator already. Earlier first links stop working.
func (s *Service) FirstLink(ctx context.Context) (token secrets.Value, err error) {
	err = s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		n, err := administrators(ctx, tx)
		if err != nil || n > 0 {
			return err
		}
		err = s.audit.Act(ctx, tx, audit.Entry{Permission: audit.OperatorManage, Action: "setup_link.issued", ObjectKind: "operator"})
		if err != nil {
			return err
		}
		token, err = s.issue(ctx, tx, "")
		return err
	})
	if err != nil {
		return secrets.Value{}, fmt.Errorf("issuing the first set-up link: %w", err)
	}
	return token, nil
}

// issue replaces the links of an operator by a new one.
func (s *Service) issue(ctx context.Context, tx *sqldb.Tx, operatorID string) (secrets.Value, error) {
	if err := dropLinks(ctx, tx, operatorID); err != nil {
		return secrets.Value{}, err
	}
	now, token := s.time(), newToken()
	l := &link{TokenHash: hashToken(token), OperatorID: operatorID, CreatedAt: now, ExpiresAt: now.Add(linkLifetime)}
	if _, err := tx.NewInsert().Model(l).Exec(ctx); err != nil {
		return secrets.Value{}, fmt.Errorf("issuing a link: %w", err)
	}
	return token, nil
}

func dropLinks(ctx context.Context, tx *sqldb.Tx, operatorID string) error {
	_, err := tx.NewDelete().Model((*link)(nil)).Where("operator_id = ?", operatorID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("dropping earlier links: %w", err)
	}
	return nil
}

// good reads a link that may still be used.
func (s *Service) good(ctx context.Context, db bun.IDB, token secrets.Value) (*link, error) {
	var l link
	err := db.NewSelect().Model(&l).Where("token_hash = ?", hashToken(token)).
		Where("used_at IS NULL").Where("expires_at > ?", s.time()).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrLink
	}
	if err != nil {
		return nil, fmt.Errorf("reading a set-up link: %w", err)
	}
	return &l, nil
}

// Link says whom a link is for, for the page that it opens: nil for the first
// administrator, who may choose an e-mail address.
func (s *Service) Link(ctx context.Context, token secrets.Value, visit Visit) (*Operator, error) {
	if err := s.limiter.Take(visit.Address); err != nil {
		return nil, err
	}
	l, err := s.good(ctx, s.db.Read(), token)
	if err != nil || l.OperatorID == "" {
		return nil, err
	}
	return s.invited(ctx, s.db.Read(), l)
}

func (s *Service) invited(ctx context.Context, db bun.IDB, l *link) (*Operator, error) {
	o, err := s.find(ctx, db, "id", l.OperatorID)
	if errors.Is(err, ErrMissing) || err == nil && o.DisabledAt != nil {
		return nil, ErrLink
	}
	if err != nil {
		return nil, err
	}
	return o, mayLocal(ctx, db, o)
}

// SetupRequest is what someone with a link fills in.
type SetupRequest struct {
	Token    secrets.Value
	Email    string // for the first administrator; others have theirs already
	Name     string // if empty, the name stays
	Password secrets.Value
}

// Setup uses a link: it sets the password, removes the second factors and ends
// the sessions that were there before, and opens a session in which a second
// factor must be enrolled. The first administrator's account is made here, and
// counts once the factor is enrolled.
func (s *Service) Setup(ctx context.Context, r SetupRequest, visit Visit) (Issued, error) {
	if err := s.limiter.Take(visit.Address); err != nil {
		return Issued{}, err
	}
	l, err := s.good(ctx, s.db.Read(), r.Token)
	if err != nil {
		return Issued{}, err
	}
	o, err := s.person(ctx, l, r)
	if err != nil {
		return Issued{}, err
	}
	if err := checkPassword(r.Password, o.Email); err != nil {
		return Issued{}, err
	}
	if o.PasswordHash, err = s.hasher.hash(ctx, r.Password); err != nil {
		return Issued{}, err
	}
	ctx = audit.With(ctx, audit.Actor{Kind: audit.Link, ID: o.ID, Name: o.Name, Address: visit.Address})
	var issued Issued
	err = s.alter(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.audit.Act(ctx, tx, o.self("operator.set_up", nil)); err != nil {
			return err
		}
		err := met(ErrLink)(tx.NewUpdate().Model(l).Set("used_at = ?", s.time()).WherePK().Where("used_at IS NULL").Exec(ctx))
		if err != nil {
			return err
		}
		if l.OperatorID == "" {
			if err := s.first(ctx, tx, o); err != nil {
				return err
			}
		}
		if err := reset(ctx, tx, o); err != nil {
			return err
		}
		issued, err = s.openSession(ctx, tx, o, StageEnrol, visit)
		return err
	})
	return issued, err
}

// person is whose account the link sets up, with the name that was filled in.
func (s *Service) person(ctx context.Context, l *link, r SetupRequest) (*Operator, error) {
	var o *Operator
	var err error
	if l.OperatorID != "" {
		o, err = s.invited(ctx, s.db.Read(), l)
	} else if o, err = s.find(ctx, s.db.Read(), "email", normalise(r.Email)); errors.Is(err, ErrMissing) {
		o, err = &Operator{ID: newID(), Email: normalise(r.Email), CreatedAt: s.time()}, nil
	}
	if err != nil {
		return nil, err
	}
	if name := strings.TrimSpace(r.Name); name != "" {
		o.Name = name
	}
	return o, checkPerson(o.Email, o.Name)
}

// first makes the first administrator's account, or takes over one that was left
// half set up.
func (s *Service) first(ctx context.Context, tx *sqldb.Tx, o *Operator) error {
	n, err := administrators(ctx, tx)
	if err != nil {
		return err
	}
	if n > 0 {
		return ErrLink
	}
	o.BreakGlass = true // until others say otherwise
	if _, err := tx.NewInsert().Model(o).On("CONFLICT (id) DO UPDATE").Set("break_glass = EXCLUDED.break_glass").Exec(ctx); err != nil {
		if sqldb.Duplicate(err) {
			return ErrTaken
		}
		return fmt.Errorf("making the first administrator: %w", err)
	}
	o.Roles = map[string]audit.Role{audit.AllTenants: audit.Administrator}
	return putRole(ctx, tx, o.ID, audit.AllTenants, audit.Administrator)
}

// reset gives an account a new beginning with the password in o.
func reset(ctx context.Context, tx *sqldb.Tx, o *Operator) error {
	o.Failures, o.LockedUntil, o.DisabledAt = 0, nil, nil
	err := met(ErrLink)(tx.NewUpdate().Model(o).Column("name", "password_hash", "failures", "locked_until", "disabled_at").WherePK().Exec(ctx))
	if err != nil {
		return err
	}
	if _, err := tx.NewDelete().Model((*factor)(nil)).Where("operator_id = ?", o.ID).Exec(ctx); err != nil {
		return fmt.Errorf("removing second factors: %w", err)
	}
	return endSessions(ctx, tx, o.ID, "")
}

// readInvitations fills in until when operators who have not set themselves up can
// do it.
func (s *Service) readInvitations(ctx context.Context, operators []*Operator) error {
	byID, ids := map[string]*Operator{}, []string{}
	for _, o := range operators {
		if o.PasswordHash == "" {
			byID[o.ID] = o
			ids = append(ids, o.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var links []link
	err := s.db.Read().NewSelect().Model(&links).Column("operator_id", "expires_at").Where("operator_id IN (?)", bun.List(ids)).Where("used_at IS NULL").Scan(ctx)
	if err != nil {
		return fmt.Errorf("reading invitations: %w", err)
	}
	for _, l := range links {
		byID[l.OperatorID].InvitedUntil = &l.ExpiresAt
	}
	return nil
}
