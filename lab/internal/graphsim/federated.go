package graphsim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// federatedType: resource type federatedIdentityCredential.
var federatedType = newEntity("federatedIdentityCredential",
	prop("id", func(_ *request, c *directory.FederatedCredential) any { return c.ID }),
	prop("name", func(_ *request, c *directory.FederatedCredential) any { return c.Name }),
	prop("issuer", func(_ *request, c *directory.FederatedCredential) any { return c.Issuer }),
	prop("subject", func(_ *request, c *directory.FederatedCredential) any { return c.Subject }),
	prop("description", func(_ *request, c *directory.FederatedCredential) any { return text(c.Description) }),
	prop("audiences", func(_ *request, c *directory.FederatedCredential) any { return texts(c.Audiences...) }),
	null("claimsMatchingExpression").inBeta().plain(),
)

// Bounds of federated credentials (resource type federatedIdentityCredential).
const (
	maxFederated = 20
	maxClaim     = 600
)

func federatedSet(a *directory.App) string {
	return "applications('" + a.ID + "')/federatedIdentityCredentials"
}

// federatedOf finds the path's credential by id or name='…'.
func federatedOf(r *request, a *directory.App) (int, error) {
	name, byName := alternate(r.vars[1], "name")
	i := slices.IndexFunc(a.Federated, func(c *directory.FederatedCredential) bool {
		return byName && c.Name == name || strings.EqualFold(c.ID, r.vars[1])
	})
	if i < 0 {
		return 0, notFound(r.vars[1])
	}
	return i, nil
}

// readFederated joins the body into a credential and judges it. The name, once
// given, stays.
func (r *request) readFederated(a *directory.App, c directory.FederatedCredential) (*directory.FederatedCredential, error) {
	var name, issuer, subject, description *string
	var audiences *[]string
	if _, err := r.decode(map[string]any{"name": &name, "issuer": &issuer, "subject": &subject, "description": &description, "audiences": &audiences}); err != nil {
		return nil, err
	}
	if name != nil && c.Name != "" && *name != c.Name {
		return nil, badBody("name of a federated credential cannot change.")
	}
	for into, value := range map[*string]*string{&c.Name: name, &c.Issuer: issuer, &c.Subject: subject, &c.Description: description} {
		if value != nil {
			*into = *value
		}
	}
	if audiences != nil {
		c.Audiences = *audiences
	}
	at, err := url.Parse(c.Issuer)
	switch {
	case len(c.Name) < 3 || len(c.Name) > 120 || url.PathEscape(c.Name) != c.Name:
		return nil, badBody("name must have 3 to 120 characters that may stand in an address.")
	case err != nil || at.Scheme != "https" || at.Host == "" || len(c.Issuer) > maxClaim:
		return nil, badBody("issuer must be an address that begins with https://, of %d characters at most.", maxClaim)
	case c.Subject == "" || len(c.Subject) > maxClaim:
		return nil, badBody("subject must have 1 to %d characters.", maxClaim)
	case len(c.Audiences) != 1 || c.Audiences[0] == "" || len(c.Audiences[0]) > maxClaim:
		return nil, badBody("audiences must have one entry of 1 to %d characters, as a rule api://AzureADTokenExchange.", maxClaim)
	case len(c.Description) > maxClaim:
		return nil, badBody("description may have %d characters at most.", maxClaim)
	}
	for _, other := range a.Federated {
		switch {
		case other.ID == c.ID:
		case other.Name == c.Name:
			return nil, conflict("The application has a federated credential '%s' already.", clip(c.Name))
		case other.Issuer == c.Issuer && other.Subject == c.Subject:
			return nil, conflict("The application has a federated credential with this issuer and subject already.")
		}
	}
	return &c, nil
}

func listFederated(r *request, a *directory.App) (*answer, error) {
	return r.list(listing{set: federatedSet(a), types: []*entity{federatedType}}, items(federatedType, a.Federated))
}

func getFederated(r *request, a *directory.App) (*answer, error) {
	i, err := federatedOf(r, a)
	if err != nil {
		return nil, err
	}
	return r.single(federatedSet(a), item{federatedType, a.Federated[i]})
}

func createFederated(r *request, a *directory.App) (*answer, error) {
	if len(a.Federated) >= maxFederated {
		return nil, refuse(http.StatusBadRequest, "Directory_QuotaExceeded", "The application has %d federated credentials, which is the most.", maxFederated)
	}
	c, err := r.readFederated(a, directory.FederatedCredential{ID: r.newID("federated credential", itoa(len(a.Federated)))})
	if err != nil {
		return nil, err
	}
	c.Usable = r.usable()
	r.federatedChanged(a)
	a.Federated = append(slices.Clone(a.Federated), c)
	return r.created(federatedSet(a), item{federatedType, c})
}

func (r *request) federatedChanged(a *directory.App) {
	r.updates(core("Update application – Certificates and secrets management ", appManagement), item{applicationType, a})
}

func patchFederated(r *request, a *directory.App) (*answer, error) {
	i, err := federatedOf(r, a)
	if err != nil {
		return nil, err
	}
	c, err := r.readFederated(a, *a.Federated[i])
	if err != nil {
		return nil, err
	}
	c.Usable = r.usable()
	r.federatedChanged(a)
	a.Federated = slices.Clone(a.Federated)
	a.Federated[i] = c
	return noContent(), nil
}

func deleteFederated(r *request, a *directory.App) (*answer, error) {
	i, err := federatedOf(r, a)
	if err != nil {
		return nil, err
	}
	r.federatedChanged(a)
	a.Federated = slices.Delete(slices.Clone(a.Federated), i, i+1)
	return noContent(), nil
}

func rowsOfFederation() {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	const set = "applications/{id}/federatedIdentityCredentials"
	row(get, set, appsRead, readsApp(listFederated))
	row(post, set, appsWrite, ofApp(createFederated), "writes")
	row(get, set+"/{credential}", appsRead, readsApp(getFederated))
	row(patch, set+"/{credential}", appsWrite, ofApp(patchFederated), "writes")
	row(del, set+"/{credential}", appsWrite, ofApp(deleteFederated), "writes")
}

// readsApp is a handler that reads something of one registration.
func readsApp(fn func(*request, *directory.App) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		a, err := r.appByKey(r.vars[0])
		if err != nil {
			return nil, err
		}
		return fn(r, a)
	}
}
