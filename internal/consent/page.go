package consent

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/pace"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// View is what the page for an administrator shows.
type View struct {
	Request   Request
	Tenant    string // the tenant's name
	Domain    string // "" while none is known
	Directory string // the tenant's id at Microsoft
	App       Registration
	Manifest  Manifest
	Sheet     []Group
	First     bool // nothing was approved before
	Roles     []Role
	All       bool   // everything that is registered is asked, and not the manifest alone
	Address   string // of Microsoft's page
	Host      string // its host
	Centre    string // where the same is done without this link; ""
	Steps     []string
	Remove    []string // how to take it back
	Status    Status
	Answered  *Explanation // of the last answer that was no approval; nil
}

// opened finds the page behind an address.
func (s *Service) opened(ctx context.Context, token string) (*requestRow, error) {
	if len(token) != 43 { // 32 bytes
		return nil, ErrLink
	}
	var r requestRow
	err := s.DB.Read().NewSelect().Model(&r).Where("token_hash = ?", hashOf(token)).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, ErrLink
	}
	if err != nil {
		return nil, fmt.Errorf("reading a page for an administrator: %w", err)
	}
	if !r.request().Live(s.time()) {
		return nil, ErrLink
	}
	return &r, nil
}

// Open gives the page behind an address, with the way to Microsoft for this
// browser. It needs no sign-in. [ErrLink] for an address that opens nothing.
func (s *Service) Open(ctx context.Context, token string, browser secrets.Value, address string) (View, error) {
	r, err := s.opened(ctx, token)
	if err != nil {
		return View{}, err
	}
	ctx = asLink(ctx, r, address)
	t, err := s.Tenants.Get(ctx, r.TenantID)
	if err != nil {
		return View{}, err
	}
	app, err := s.Registration(ctx, r.RegistrationID)
	if err != nil {
		return View{}, err
	}
	m, err := s.Manifest(ctx, r.RegistrationID)
	if err != nil {
		return View{}, err
	}
	if err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return s.noteOpened(ctx, tx, r) }); err != nil {
		return View{}, err
	}
	c, err := find(ctx, s.DB.Read(), r.TenantID, r.RegistrationID)
	if err != nil {
		return View{}, err
	}
	return s.view(r, c, t, app, c.asks(m), browser), nil
}

func (s *Service) view(r *requestRow, c *row, t tenant.Tenant, app Registration, m Manifest, browser secrets.Value) View {
	way := Way{Endpoint: r.Endpoint, DirectoryID: t.DirectoryID, ClientID: app.ClientID, Redirect: s.redirect(), State: stateOf(r, browser, s.time()), Permissions: m.Permissions}
	v := View{
		Request: r.request(), Tenant: t.Name, Domain: t.Domain, Directory: t.DirectoryID, App: app, Manifest: m, Sheet: Sheet(m, c.Approved, c.Held, c.ReadAt != nil), First: len(c.Approved) == 0,
		Roles: Approvers(m.Permissions), All: r.Endpoint == V1 || Registered(m.Permissions), Address: Address(s.Cloud, way), Centre: Centre(s.Cloud), Status: s.status(c, app),
	}
	v.Status.TenantName, v.Host = t.Name, Host(v.Address)
	v.Steps, v.Remove = centreSteps(app), removeSteps(app)
	if r.Answer != "" && Kind(r.Answer) != Approved {
		e := Explain(Kind(r.Answer))
		v.Answered = &e
	}
	return v
}

// centreSteps is the same route without any link of ours.
func centreSteps(app Registration) []string {
	return []string{
		"Sign in to the admin centre with your own administrator account of this tenant.",
		"Open Entra ID > Enterprise apps > All applications and search for the application id " + app.ClientID + ".",
		"Open the app, then Permissions, and choose Grant admin consent for your organisation.",
		"The app is listed once anybody of the tenant has tried to sign in to it. If it is not there yet, use the button of this page, or have somebody try first.",
	}
}

func removeSteps(app Registration) []string {
	return []string{
		"Open Entra ID > Enterprise apps > All applications and search for the application id " + app.ClientID + ".",
		"Under Permissions choose Review permissions to take single ones back; under Properties choose Delete to take back everything.",
		"People who use the software cannot sign in to it any more from then on; tokens that were given out work for about an hour more.",
	}
}

// seldom is how long openings of a page count as one.
const seldom = time.Minute

// noteOpened notes that a page was opened, and has the consent followed: who opens
// it may consent without coming back.
func (s *Service) noteOpened(ctx context.Context, tx *sqldb.Tx, r *requestRow) error {
	now := s.time()
	if r.OpenedAt != nil && now.Sub(*r.OpenedAt) < seldom {
		return nil
	}
	if _, err := tx.NewRaw("UPDATE consent_requests SET opened_at = ?, opened = opened + 1 WHERE id = ?", now, r.ID).Exec(ctx); err != nil {
		return fmt.Errorf("noting that a page was opened: %w", err)
	}
	c, err := hold(ctx, tx, r.TenantID, r.RegistrationID)
	if err != nil || c.State == Granted {
		return err
	}
	return s.beginFollowing(ctx, tx, r.TenantID, r.RegistrationID, false)
}

// LookAgain reads how the consent of a page stands, for whoever has its address: at
// most every five seconds.
func (s *Service) LookAgain(ctx context.Context, token, address string) error {
	r, err := s.opened(ctx, token)
	if err != nil {
		return err
	}
	ctx = asLink(ctx, r, address)
	c, err := find(ctx, s.DB.Read(), r.TenantID, r.RegistrationID)
	if err != nil {
		return err
	}
	if c.TriedAt != nil && s.time().Sub(*c.TriedAt) < 5*time.Second {
		return nil
	}
	return s.lookAndNote(pace.Interactive(ctx), r.TenantID, r.RegistrationID)
}
