package consent

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/batch"
	"gatehouse/internal/fault"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/partner"
	"gatehouse/internal/pace"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// The kinds of batches of this package.
const (
	BatchOnboard  = "partner_consents"
	BatchWithdraw = "partner_consents_undo"
)

// The states of a customer's consent through Partner Center.
const (
	Sending  = "sending" // the call was about to be sent
	Onboard  = "done"
	Refused  = "failed"
	Removing = "removing"
	Removed  = "removed"
)

// mostAtOnce is how many customers of a partner are worked on at a time: well below
// the documented 50 requests a second for each app.
const mostAtOnce = 4

// Customer is a customer of a partner.
type Customer struct {
	ID     string // directory id
	Name   string
	Domain string
	// TenantID is ours, of a customer that was added here; "" for others.
	TenantID string
	State    string // through Partner Center, from here; "" if nothing was done
	Note     string
	At       *time.Time
	// Read is how the consent stands as it was read back from the customer's own
	// directory; "" where that was not: the customer was not added, or nobody looked.
	Read State
}

// OnboardRequest asks for consent in the tenants of a partner's customers.
type OnboardRequest struct {
	TenantID       string // the partner's own
	ConnectionID   string // of it: of an admin agent of the partner
	RegistrationID string
	Customers      []CustomerRef
	Undo           bool // take it back
}

// CustomerRef names a customer.
type CustomerRef struct{ ID, Name string }

type customerRow struct {
	bun.BaseModel `bun:"table:consent_customers,alias:u"`

	TenantID       string `bun:"tenant_id,pk"`
	RegistrationID string `bun:"registration_id,pk"`
	CustomerID     string `bun:"customer_id,pk"`
	Name           string
	State          string
	Note           string
	ChangedAt      time.Time
}

// particulars are what a batch does.
type particulars struct {
	Connection   string `json:"connection"`
	Registration string `json:"registration"`
	Tenant       string `json:"tenant"` // the partner's
}

// Partners reports whether customers can be onboarded in bulk here.
func (s *Service) Partners() bool { return s.PartnerToken != nil && s.Cloud.PartnerCenter != "" }

// partnerOf demands that the actor may manage consent in a partner's tenant, and that
// the connection is one of it. It gives the registration through which its person signs
// in.
func (s *Service) partnerOf(ctx context.Context, tenantID, connectionID string) (registrationID string, err error) {
	if _, err := s.Tenants.Directory(ctx, tenantID); err != nil {
		return "", err
	}
	if err := s.Audit.Allow(ctx, tenantID, audit.ConsentManage); err != nil {
		return "", err
	}
	if !s.Partners() {
		return "", ErrNoPartner
	}
	err = s.DB.Read().NewSelect().TableExpr("connections").Column("registration_id").Where("id = ? AND tenant_id = ?", connectionID, tenantID).Scan(ctx, &registrationID)
	if sqldb.Missing(err) {
		return "", fault.Of("connection", "is none of this tenant", "use a connection of the partner's own tenant")
	}
	if err != nil {
		return "", fmt.Errorf("reading a connection: %w", err)
	}
	return registrationID, nil
}

// partnerClient signs in to Partner Center. It takes consents to an app from that app
// alone (GDAP frequently asked questions): clientID, where it is not "", has to be what
// the person signed in to.
func (s *Service) partnerClient(ctx context.Context, connectionID, tenantID, clientID string) (*partner.Client, error) {
	token, err := s.PartnerToken(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	if by := token.Claims.AppID; by != "" && clientID != "" && !strings.EqualFold(by, clientID) {
		return nil, fmt.Errorf("signing in to Partner Center: the connection's person signed in to another app (%.40s) than the one to consent to (%s); sign the connection in again", by, clientID)
	}
	return partner.New(partner.Config{Cloud: s.Cloud, Token: token.Access, Pace: s.Pace, Tenant: tenantID})
}

// Customers gives a page of a partner's customers as Partner Center lists them, with
// what was done for a registration. The cursor is Partner Center's own, "" after the
// last page.
func (s *Service) Customers(ctx context.Context, tenantID, connectionID, registrationID, after string) ([]Customer, string, error) {
	if _, err := s.partnerOf(ctx, tenantID, connectionID); err != nil {
		return nil, "", err
	}
	client, err := s.partnerClient(pace.Interactive(ctx), connectionID, tenantID, "")
	if err != nil {
		return nil, "", err
	}
	page, next, err := client.Customers(pace.Interactive(ctx), after)
	if err != nil {
		return nil, "", err
	}
	out := []Customer{}
	ids := []string{}
	for _, c := range page {
		if tenant.GUID(c.ID) {
			out = append(out, Customer{ID: c.ID, Name: clip(c.Name), Domain: clip(c.Domain)})
			ids = append(ids, c.ID)
		}
	}
	return out, next, s.fill(ctx, tenantID, registrationID, out, ids)
}

// fill adds to customers what is known of them here.
func (s *Service) fill(ctx context.Context, tenantID, registrationID string, out []Customer, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	var rows []customerRow
	if err := s.DB.Read().NewSelect().Model(&rows).Where("tenant_id = ? AND registration_id = ? AND customer_id IN (?)", tenantID, registrationID, bun.List(ids)).Scan(ctx); err != nil {
		return fmt.Errorf("reading a partner's customers: %w", err)
	}
	scope, err := audit.Tenants(ctx, audit.TenantView)
	if err != nil {
		return err
	}
	var here []struct {
		ID, DirectoryID string
		State           sql.NullString
	}
	if err := scope.Filter(s.DB.Read().NewSelect().TableExpr("tenants AS t").Column("t.id", "t.directory_id", "c.state").Join("LEFT JOIN consents AS c ON c.tenant_id = t.id AND c.registration_id = ? AND c.read_at IS NOT NULL", registrationID).Where("t.directory_id IN (?)", bun.List(ids)), "t.id").Scan(ctx, &here); err != nil {
		return fmt.Errorf("reading tenants: %w", err)
	}
	for i := range out {
		for _, r := range rows {
			if r.CustomerID == out[i].ID {
				out[i].State, out[i].Note, out[i].At = r.State, r.Note, utc(&r.ChangedAt)
			}
		}
		for _, t := range here {
			if t.DirectoryID == out[i].ID {
				out[i].TenantID, out[i].Read = t.ID, State(t.State.String)
			}
		}
	}
	return nil
}

// Onboard consents in the tenants of a partner's customers, or takes it back, as a
// batch: it goes on after a crash, can be called off, and tells of each customer how
// it went. Partner Center takes delegated permissions only.
func (s *Service) Onboard(ctx context.Context, in OnboardRequest) (batch.Batch, error) {
	through, err := s.partnerOf(ctx, in.TenantID, in.ConnectionID)
	if err != nil {
		return batch.Batch{}, err
	}
	app, err := s.named(ctx, in.RegistrationID)
	if err != nil {
		return batch.Batch{}, err
	}
	if through != in.RegistrationID {
		return batch.Batch{}, fault.Of("registration_id", "is not the one through which the connection's person signs in", "Partner Center takes a consent to an app from that app alone: use a connection of the partner that signs in through "+app.Name)
	}
	m, err := s.Manifest(ctx, in.RegistrationID)
	if err != nil {
		return batch.Batch{}, err
	}
	if len(grants(m)) == 0 && !in.Undo {
		return batch.Batch{}, fault.Of("registration_id", "asks for no delegated permission of the customers", "Partner Center takes no others: consent to application permissions on the administrator's page")
	}
	items, err := items(in.TenantID, in.Customers)
	if err != nil {
		return batch.Batch{}, err
	}
	what := batch.Request{Kind: BatchOnboard, Words: "Consent to " + app.Name + " for a partner's customers", Items: items, Request: particulars{in.ConnectionID, in.RegistrationID, in.TenantID}}
	if in.Undo {
		what.Kind, what.Words = BatchWithdraw, "Take back the consent to "+app.Name+" for a partner's customers"
	}
	return s.Batches.Start(ctx, what)
}

func items(tenantID string, customers []CustomerRef) ([]batch.Item, error) {
	if len(customers) == 0 {
		return nil, fault.Of("customers", "are missing", "choose some of the partner's customers")
	}
	var out []batch.Item
	seen := map[string]bool{}
	for _, c := range customers {
		id := strings.ToLower(strings.TrimSpace(c.ID))
		if !tenant.GUID(id) {
			return nil, fault.Of("customers", fmt.Sprintf("hold %.60q, which is no directory id", c.ID), "take the ids from the list of customers")
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		out = append(out, batch.Item{TenantID: tenantID, ObjectID: id, Name: cmp.Or(clip(c.Name), id)})
	}
	return out, nil
}

// apiGrant is what is asked of one API.
type apiGrant struct {
	partner.Grant
	name string // the API's
}

// grants are the delegated permissions of a manifest by API, as Partner Center takes
// them. Its own is the partner's, not the customers': they have no service principal
// of it.
func grants(m Manifest) []apiGrant {
	var out []apiGrant
	for _, p := range m.Permissions {
		if p.Kind != Delegated || strings.EqualFold(p.Resource, partner.ResourceID) {
			continue
		}
		i := slices.IndexFunc(out, func(g apiGrant) bool { return strings.EqualFold(g.Resource, p.Resource) })
		if i < 0 {
			out = append(out, apiGrant{partner.Grant{Resource: strings.ToLower(p.Resource)}, cmp.Or(p.ResourceName, p.Resource)})
			i = len(out) - 1
		}
		out[i].Scopes = append(out[i].Scopes, p.Name)
	}
	return out
}

// registerBulk makes the batches known.
func (s *Service) registerBulk() {
	if s.Batches == nil {
		return
	}
	begin := func(do func(context.Context, particulars, batch.Item) (string, string, error)) func(json.RawMessage, string) (func(context.Context, batch.Item) (string, string, error), error) {
		return func(request json.RawMessage, _ string) (func(context.Context, batch.Item) (string, string, error), error) {
			var p particulars
			if err := json.Unmarshal(request, &p); err != nil {
				return nil, fmt.Errorf("reading what to do for customers: %w", err)
			}
			return func(ctx context.Context, i batch.Item) (string, string, error) { return do(ctx, p, i) }, nil
		}
	}
	s.Batches.Register(batch.Kind{Name: BatchOnboard, Permission: audit.ConsentManage, Together: mostAtOnce, Begin: begin(s.onboard)})
	s.Batches.Register(batch.Kind{Name: BatchWithdraw, Permission: audit.ConsentManage, Together: mostAtOnce, Begin: begin(s.withdraw)})
}

// onboard consents for one customer, API by API: what one refuses for itself keeps the
// others from nothing. A call that was sent before a crash is sent again: what is there
// already is fine.
func (s *Service) onboard(ctx context.Context, p particulars, i batch.Item) (outcome, note string, err error) {
	app, m, client, err := s.ready(ctx, p, i, Sending)
	if err != nil {
		return "", "", s.noteFailed(ctx, p, i, err)
	}
	var made, there, refused []string
	for _, g := range grants(m) {
		err := client.Consent(ctx, i.ObjectID, app.ClientID, g.Grant)
		switch {
		case err == nil:
			made = append(made, g.name)
			continue
		case partner.Exists(err):
			there = append(there, g.name)
			continue
		case ctx.Err() != nil:
			return "", "", err // it goes on later
		}
		if !partner.OfOne(err) { // it is not about this API, and the others will fare no better
			refused = append(refused, PartnerTrouble(err))
			break
		}
		refused = append(refused, g.name+": "+PartnerTrouble(err))
	}
	outcome, note = batch.Changed, words(made, there, refused)
	switch {
	case len(refused) > 0:
		return batch.Failed, note, errors.Join(s.noteCustomer(ctx, p, i, Refused, note, made), errors.New(note))
	case len(made) == 0:
		outcome = batch.Unchanged
	}
	if Registered(m.Permissions) {
		note = strings.TrimPrefix(note+" Application permissions are not part of it: the customer's administrator consents to those.", " ")
	}
	return outcome, note, s.noteCustomer(ctx, p, i, Onboard, note, made)
}

// words say how it went with the APIs of a customer, where it did not simply go well.
func words(made, there, refused []string) string {
	var out []string
	if len(refused) > 0 {
		out = refused
		if len(made) > 0 {
			out = append(out, "Granted: "+strings.Join(made, ", ")+".")
		}
	}
	if len(there) > 0 {
		out = append(out, "A consent was there already for "+strings.Join(there, ", ")+". Partner Center does not say what it holds and adds nothing to it: to replace it, take it back and consent again.")
	}
	return strings.Join(out, " ")
}

// withdraw takes back the consent of one customer.
func (s *Service) withdraw(ctx context.Context, p particulars, i batch.Item) (outcome, note string, err error) {
	app, _, client, err := s.ready(ctx, p, i, Removing)
	if err != nil {
		return "", "", s.noteFailed(ctx, p, i, err)
	}
	err = client.Withdraw(ctx, i.ObjectID, app.ClientID)
	outcome = batch.Changed
	if partner.Gone(err) {
		outcome, note, err = batch.Unchanged, "there was nothing to take back", nil
	}
	if err != nil {
		return batch.Failed, PartnerTrouble(err), s.noteFailed(ctx, p, i, err)
	}
	return outcome, note, s.noteCustomer(ctx, p, i, Removed, note, nil)
}

// ready notes what is about to be done and signs in.
func (s *Service) ready(ctx context.Context, p particulars, i batch.Item, state string) (Registration, Manifest, *partner.Client, error) {
	app, err := s.Registration(ctx, p.Registration)
	if err != nil {
		return app, Manifest{}, nil, err
	}
	m, err := s.Manifest(ctx, p.Registration)
	if err != nil {
		return app, m, nil, err
	}
	if err := s.noteCustomer(ctx, p, i, state, "", nil); err != nil {
		return app, m, nil, err
	}
	if s.PartnerToken == nil {
		return app, m, nil, ErrNoPartner
	}
	client, err := s.partnerClient(ctx, p.Connection, p.Tenant, app.ClientID)
	return app, m, client, err
}

// noteFailed notes a failure, and gives it as the item's outcome.
func (s *Service) noteFailed(ctx context.Context, p particulars, i batch.Item, err error) error {
	if ctx.Err() != nil {
		return err // it goes on later
	}
	if noted := s.noteCustomer(ctx, p, i, Refused, PartnerTrouble(err), nil); noted != nil {
		return errors.Join(err, noted)
	}
	return errors.New(PartnerTrouble(err))
}

// noteCustomer keeps how far a customer is, writes down what was done there, and has
// the consent read if the customer's tenant is here. made are the APIs for which a
// consent was given.
func (s *Service) noteCustomer(ctx context.Context, p particulars, i batch.Item, state, note string, made []string) error {
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r := customerRow{TenantID: p.Tenant, RegistrationID: p.Registration, CustomerID: i.ObjectID, Name: i.Name, State: state, Note: clipTo(note, 1000), ChangedAt: s.time()}
		_, err := tx.NewInsert().Model(&r).On("CONFLICT (tenant_id, registration_id, customer_id) DO UPDATE").Set("name = EXCLUDED.name, state = EXCLUDED.state, note = EXCLUDED.note, changed_at = EXCLUDED.changed_at").Exec(ctx)
		if err != nil {
			return fmt.Errorf("noting a customer's consent: %w", err)
		}
		action := map[string]string{Onboard: "consent.customer_onboarded", Refused: "consent.customer_refused", Removed: "consent.customer_removed"}[state]
		if action == "" {
			return nil
		}
		e := audit.Entry{Permission: audit.ConsentManage, TenantID: p.Tenant, Action: action, ObjectKind: "customer", ObjectID: i.ObjectID, ObjectName: i.Name, Details: map[string]any{"registration": p.Registration}}
		if len(made) > 0 {
			e.Details["apis"] = made
		}
		if state == Refused {
			e.Outcome = audit.OutcomeFailed
		}
		if err := s.Audit.Act(ctx, tx, e); err != nil {
			return err
		}
		var here string
		err = tx.NewSelect().TableExpr("tenants").Column("id").Where("directory_id = ?", i.ObjectID).Scan(ctx, &here)
		if sqldb.Missing(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a tenant: %w", err)
		}
		return s.lookSoon(ctx, tx, here, p.Registration)
	})
}

var consentCode = regexp.MustCompile(`AADSTS\d+`)

// PartnerTrouble says why Partner Center refused, and who acts.
func PartnerTrouble(err error) string {
	e, ok := errors.AsType[*microsoft.Error](err)
	if !ok {
		return err.Error()
	}
	words := strings.TrimRight(e.Error(), ". ")
	code := cmp.Or(consentCode.FindString(e.Message), e.Code)
	switch {
	case e.Status == 0 || e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests:
		return words + ". Partner Center is in trouble or asks to wait: try again later."
	case code == "AADSTS90099":
		return words + ". The app is not authorised in the customer's tenant yet, and the account may not do it: use an admin agent with a GDAP role that may."
	case e.Status == http.StatusUnauthorized && strings.Contains(e.Message, "MFA"):
		return words + ". Partner Center takes sign-ins with MFA alone: have the partner's own tenant ask the account for it, then sign the connection in again."
	case e.Status == http.StatusUnauthorized:
		return words + ". Sign the connection in again; its app needs Partner Center's user_impersonation, and the sign-in MFA."
	case e.Status == http.StatusForbidden:
		return words + ". The account has to be an admin agent of the partner, in a group that the delegated administration (GDAP) of this customer maps to Cloud Application Administrator or Application Administrator."
	case e.Status == http.StatusNotFound:
		return words + ". This is no customer of the partner (any more), or the relationship has ended: look in Partner Center under Customers."
	case e.Status == http.StatusBadRequest:
		return words + ". The customer's tenant may lack the service principal of the API (no licence); or one of the permissions does not exist; or the app is not multi-tenant, or not the one that the connection's person signed in to."
	}
	return words
}

func clipTo(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
}
