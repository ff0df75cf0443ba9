package lab

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// AppChange is what happens to an app of a tenant. Members that are nil stay as
// they are. The first ones are the registration's, so the tenant must be the one
// that registered the app; the last two are of its service principal there.
type AppChange struct {
	VerifiedPublisher *bool               `json:"verified_publisher"`
	MultiTenant       *bool               `json:"multi_tenant"`
	SecretsEnd        *time.Duration      `json:"-"` // from now, for all secrets; negative: they have ended
	Secret            *string             `json:"secret"`
	RedirectURIs      []string            `json:"redirect_uris"`
	Delegated         map[string][]string `json:"delegated_permissions"` // by API, as in a tenants file

	Enabled            *bool `json:"enabled"`
	AssignmentRequired *bool `json:"assignment_required"`
}

// errNoApp is about an app that a tenant does not have.
var errNoApp = errors.New("the tenant has no such app")

func (c *AppChange) registration() bool {
	return c.VerifiedPublisher != nil || c.MultiTenant != nil || c.SecretsEnd != nil || c.Secret != nil || c.RedirectURIs != nil || c.Delegated != nil
}

func (c *AppChange) check() error {
	if s := c.Secret; s != nil && (len(*s) < 16 || len(*s) > 256) {
		return errors.New("secret must have 16 to 256 characters")
	}
	for alias, values := range c.Delegated {
		resource := directory.ResourceByAlias(alias)
		if resource == nil {
			return fmt.Errorf("delegated_permissions names %q, which is no API of Microsoft", alias)
		}
		for _, value := range values {
			if _, ok := resource.Scope(value); !ok {
				return fmt.Errorf("delegated_permissions: %s has no permission %q", resource.Name, value)
			}
		}
	}
	return nil
}

// ChangeApp changes an app at once: its secrets run out, it gets another one, asks
// for other permissions, its publisher is verified, it wants assignment.
func (l *Lab) ChangeApp(tenant, clientID string, c AppChange) error {
	if err := c.check(); err != nil {
		return err
	}
	now, err := l.Now().UTC(), errNoApp
	l.store.Update(tenant, func(t *directory.Tenant) {
		a, p := t.App(clientID), t.Principal(clientID)
		switch {
		case a == nil && p == nil:
			return
		case c.registration() && (a == nil || t.Owner(clientID) != t.ID):
			err = errors.New("the app is registered elsewhere: change it in the tenant that registered it")
			return
		case p == nil && (c.Enabled != nil || c.AssignmentRequired != nil):
			err = errors.New("the app has no service principal in the tenant yet")
			return
		}
		err = nil
		if c.registration() {
			c.apply(l.store, a, now)
		}
		if p != nil {
			set(&p.Enabled, c.Enabled)
			set(&p.AssignmentRequired, c.AssignmentRequired)
		}
	})
	return err
}

func (c *AppChange) apply(store *directory.Store, a *directory.App, now time.Time) {
	set(&a.Verified, c.VerifiedPublisher)
	set(&a.MultiTenant, c.MultiTenant)
	var secrets []*directory.Secret // readers may hold the old ones
	for _, s := range a.Secrets {
		one := *s
		if c.SecretsEnd != nil {
			one.End = now.Add(*c.SecretsEnd)
		}
		secrets = append(secrets, &one)
	}
	if c.Secret != nil {
		secrets = append(secrets, store.NewSecret(directory.RandomID(), "lab", *c.Secret, now, now.AddDate(1, 0, 0)))
	}
	a.Secrets = secrets
	if c.RedirectURIs != nil {
		a.RedirectURIs = slices.Clone(c.RedirectURIs)
	}
	if c.Delegated != nil {
		a.Delegated = c.Delegated
	}
}

// DeleteApp deletes a registration in the tenant that made it, and its service
// principal there. Those in other tenants stay, and nobody gets in by them.
func (l *Lab) DeleteApp(tenant, clientID string) error {
	err := errNoApp
	l.store.Update(tenant, func(t *directory.Tenant) {
		if t.App(clientID) == nil || t.Owner(clientID) != t.ID {
			return
		}
		if p := t.Principal(clientID); p != nil {
			t.RemovePrincipal(p)
		}
		t.RemoveApp(t.App(clientID))
		err = nil
	})
	return err
}

// ReplaceApp registers an app anew, as a vendor does that begins again: the same
// name, reply addresses and permissions under another client id, with a secret of
// its own if the old one is confidential, and no consent anywhere. The old one
// stays until [Lab.DeleteApp].
func (l *Lab) ReplaceApp(tenant, clientID string) (ReadyApp, error) {
	now, id := l.Now().UTC(), ""
	var made ReadyApp
	l.store.Update(tenant, func(t *directory.Tenant) {
		old := t.App(clientID)
		if old == nil || t.Owner(clientID) != t.ID {
			return
		}
		a := *old
		a.ID, a.ClientID, a.Created = directory.RandomID(), directory.RandomID(), now
		a.Secrets, a.Certificates, a.Federated, a.API = nil, nil, nil, nil
		made = ReadyApp{ClientID: a.ClientID, Name: a.Name, Purpose: a.Purpose, Public: a.Public, Story: "Takes the place of " + old.ClientID + "."}
		if !a.Public {
			made.Secret = optional("Lab~" + directory.RandomID() + directory.RandomID())
			a.Secrets = []*directory.Secret{l.store.NewSecret(directory.RandomID(), "lab", *made.Secret, now, now.AddDate(1, 0, 0))}
		}
		t.AddApp(&a)
		t.Install(a.ClientID, now)
		id = t.ID
	})
	if id == "" {
		return made, errNoApp
	}
	l.readyMu.Lock()
	defer l.readyMu.Unlock()
	tenants := slices.Clone(l.ready.Tenants)
	for i := range tenants {
		if tenants[i].ID == id {
			tenants[i].Apps = append(slices.Clone(tenants[i].Apps), made)
		}
	}
	l.ready.Tenants = tenants
	return made, nil
}

// manageApps adds the apps to the control port.
func (l *Lab) manageApps(mux *http.ServeMux) {
	answer := func(w http.ResponseWriter, err error) {
		switch {
		case errors.Is(err, errNoApp):
			answerChange(w, false, "app of this tenant")
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}
	mux.HandleFunc("PATCH /tenants/{tenant}/apps/{client}", func(w http.ResponseWriter, r *http.Request) {
		var change struct {
			AppChange
			End *duration `json:"secrets_end"`
		}
		if !readJSON(w, r, &change) {
			return
		}
		change.SecretsEnd = (*time.Duration)(change.End)
		answer(w, l.ChangeApp(r.PathValue("tenant"), r.PathValue("client"), change.AppChange))
	})
	mux.HandleFunc("DELETE /tenants/{tenant}/apps/{client}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, l.DeleteApp(r.PathValue("tenant"), r.PathValue("client")))
	})
	mux.HandleFunc("POST /tenants/{tenant}/apps/{client}/replacement", func(w http.ResponseWriter, r *http.Request) {
		made, err := l.ReplaceApp(r.PathValue("tenant"), strings.ToLower(r.PathValue("client")))
		if err != nil {
			answer(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		writeJSON(w, made)
	})
}
