package signin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// attemptRow is a sign-in that was begun.
type attemptRow struct {
	bun.BaseModel `bun:"table:signin_attempts"`

	ID             string `bun:"id,pk"`
	TenantID       string
	ConnectionID   string
	LinkID         string
	CampaignID     string
	Flow           string
	StateHash      *string
	BrowserHash    string
	Secret         []byte
	RegistrationID string
	ClientID       string
	DirectoryID    string
	Redirect       string
	Resource       string
	Scopes         string
	Round          int64
	ActorKind      audit.Kind
	ActorID        string
	ActorName      string
	Device         string
	PollAt         *time.Time
	CreatedAt      time.Time
	ExpiresAt      time.Time
	UsedAt         *time.Time
	NextID         string
}

// sealed is what an attempt keeps sealed.
type sealed struct {
	Verifier string `json:"verifier,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
	Device   string `json:"device,omitempty"`
}

// start is what an attempt begins with.
type start struct {
	connection connection.Connection
	link       *linkRow // nil for an operator's own
	person     string   // who is to sign in; ""
	round      int64
	Options
}

// Begin begins to sign somebody in for a connection, in the browser of whoever
// asks.
func (s *Service) Begin(ctx context.Context, connectionID string, o Options) (Attempt, error) {
	c, err := s.manageable(ctx, connectionID)
	if err != nil {
		return Attempt{}, err
	}
	return s.begin(ctx, start{connection: c, person: c.Username, round: 1, Options: o})
}

// manageable loads a connection of a person, for somebody who may manage it.
func (s *Service) manageable(ctx context.Context, id string) (connection.Connection, error) {
	c, err := s.Connections.Get(ctx, id)
	if err != nil {
		return c, err
	}
	if err := s.Audit.Allow(ctx, c.TenantID, audit.ConnectionManage); err != nil {
		return c, err
	}
	if c.Kind != connection.Delegated {
		return c, ErrKind
	}
	return c, nil
}

// prepare makes the row of an attempt, and the app that it goes through.
func (s *Service) prepare(ctx context.Context, st start, flow string) (*attemptRow, login.App, error) {
	if s.App == nil || s.Registration == nil || s.Earned == nil {
		return nil, login.App{}, ErrRegistration
	}
	c := st.connection
	registration, err := s.Registration(ctx, c.RegistrationID)
	if err != nil {
		return nil, login.App{}, err
	}
	want, err := s.wants(c, registration, st.Resource)
	if err != nil {
		return nil, login.App{}, err
	}
	app, err := s.App(ctx, c.RegistrationID)
	if err != nil {
		return nil, login.App{}, err
	}
	directory, err := s.Tenants.Directory(ctx, c.TenantID)
	if err != nil {
		return nil, login.App{}, err
	}
	actor, _ := audit.From(ctx)
	r := &attemptRow{
		ID: newID(), TenantID: c.TenantID, ConnectionID: c.ID, CampaignID: st.CampaignID, Flow: flow, RegistrationID: c.RegistrationID, ClientID: app.ClientID, DirectoryID: directory.DirectoryID,
		Redirect: s.PublicURL + CallbackPath, Resource: want.service, Scopes: strings.Join(want.scopes(), " "), Round: st.round, ActorKind: actor.Kind, ActorID: actor.ID, ActorName: actor.Name, CreatedAt: s.time(),
	}
	r.ExpiresAt = r.CreatedAt.Add(Lifetime)
	if st.link != nil {
		r.LinkID, r.CampaignID = st.link.ID, st.link.CampaignID
	}
	return r, app, nil
}

// begin makes an attempt in a browser.
func (s *Service) begin(ctx context.Context, st start) (Attempt, error) {
	r, _, err := s.prepare(ctx, st, FlowCode)
	if err != nil {
		return Attempt{}, err
	}
	state, keep, browser := s.token(), sealed{Verifier: login.NewVerifier(), Nonce: s.token().Reveal()}, st.Browser
	if browser.Empty() {
		browser = s.token()
	}
	hashed := hash(state)
	r.StateHash, r.BrowserHash = &hashed, hash(browser)
	ask := login.Ask{
		Tenant: r.DirectoryID, ClientID: r.ClientID, Redirect: r.Redirect, Scopes: strings.Fields(r.Scopes), State: state.Reveal(), Nonce: keep.Nonce, Verifier: keep.Verifier,
		Hint: st.person, Prompt: st.Prompt, Claims: st.Claims,
	}
	if ask.Prompt == "select_account" {
		ask.Hint = "" // the two exclude each other (entra-sign-in §3)
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, r.entry(st.connection.Name, "connection.sign_in_begun", map[string]any{"flow": r.Flow, "round": r.Round, "resource": r.Resource, "link": r.LinkID})); err != nil {
			return err
		}
		if st.link != nil {
			if err := st.link.started(ctx, tx, r.BrowserHash, r.CreatedAt); err != nil {
				return err
			}
		}
		return s.keep(ctx, tx, r, keep)
	})
	if err != nil {
		return Attempt{}, err
	}
	return Attempt{ID: r.ID, URL: s.login.AuthorizeURL(ask), Cookie: browser, Until: r.ExpiresAt}, nil
}

// keep seals and stores an attempt.
func (s *Service) keep(ctx context.Context, tx *sqldb.Tx, r *attemptRow, with sealed) error {
	text, err := json.Marshal(with)
	if err != nil {
		return fmt.Errorf("beginning a sign-in: %w", err)
	}
	if r.Secret, err = s.Keys.Seal(ctx, tx, "signin_attempts", r.ID, "secret", secrets.New(string(text))); err != nil {
		return err
	}
	if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
		return fmt.Errorf("beginning a sign-in: %w", err)
	}
	return nil
}

// open gives what an attempt keeps sealed.
func (s *Service) open(ctx context.Context, r *attemptRow) (out sealed, err error) {
	text, err := s.Keys.Open(ctx, "signin_attempts", r.ID, "secret", r.Secret)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal([]byte(text.Reveal()), &out); err != nil {
		return out, fmt.Errorf("reading a sign-in: %w", err)
	}
	return out, nil
}

// entry is a line of the log about the attempt's connection.
func (r *attemptRow) entry(name, action string, details map[string]any) audit.Entry {
	return audit.Entry{Permission: audit.ConnectionManage, TenantID: r.TenantID, Action: action, ObjectKind: "connection", ObjectID: r.ConnectionID, ObjectName: name, Details: details}
}

// acting makes whoever began an attempt the actor of what follows. An operator acts
// as they are now: who was disabled meanwhile finishes nothing.
func (s *Service) acting(ctx context.Context, r *attemptRow) (context.Context, error) {
	address := ""
	if who, ok := audit.From(ctx); ok {
		address = who.Address
	}
	switch r.ActorKind {
	case audit.Link:
		return s.asLink(ctx, r.ActorID, r.ActorName, r.TenantID, address), nil
	case audit.Operator:
		return s.ActingFor(ctx, r.ActorID, address, audit.ConnectionView, audit.ConnectionManage)
	}
	return audit.AsSystem(ctx, r.ActorID), nil
}

// asLink makes whoever holds a link the actor: for connections of its tenant alone.
func (s *Service) asLink(ctx context.Context, linkID, person, tenantID, address string) context.Context {
	return audit.With(ctx, audit.Actor{
		Kind: audit.Link, ID: linkID, Name: person, Address: address, Roles: map[string]audit.Role{tenantID: audit.Engineer}, Only: []audit.Permission{audit.ConnectionView, audit.ConnectionManage},
	})
}

func (s *Service) findAttempt(ctx context.Context, db bun.IDB, id string) (*attemptRow, error) {
	var r attemptRow
	err := db.NewSelect().Model(&r).Where("id = ?", id).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("reading a sign-in: %w", err)
	}
	return &r, nil
}
