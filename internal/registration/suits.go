package registration

import (
	"context"
	"errors"
	"strings"

	"gatehouse/internal/tenant"
)

// Suits says whether people can sign in to services through a registration, and by
// which client id, for features that have authorised on a tenant: the Registration of
// [gatehouse/internal/connection.Config]. The error is a [FieldError] of
// registration_id if they cannot.
func (s *Service) Suits(ctx context.Context, registrationID string, services []string) (string, error) {
	refuse := func(problem, way string) (string, error) {
		return "", tenant.Fault("registration_id", problem, way)
	}
	g, err := s.Present(ctx, registrationID)
	if errors.Is(err, ErrMissing) {
		return refuse("names no app registration", "choose one of the list")
	}
	if err != nil {
		return "", err
	}
	if g.ClientID == "" {
		return refuse("is "+g.Name+", which has no client id in the cloud "+s.Cloud.Name, "add the client id of its registration there, or choose another one")
	}
	if !g.Manifest.Offline() {
		return refuse("is "+g.Name+", which does not ask for "+OfflineAccess+": the sign-in would end within the hour, as there would be no refresh token", "add "+OfflineAccess+" to its manifest")
	}
	for _, service := range services {
		if len(g.Manifest.Scopes(service)) == 0 {
			return refuse("is "+g.Name+", which asks for no delegated permission of "+resourceName(ResourceOf(service))+" ("+service+")", "add one to its manifest, or leave the service out")
		}
	}
	if _, active := g.Active(); g.Kind == Confidential && !active {
		return refuse("is "+g.Name+", which has no credential in use", "add a secret or certificate to it")
	}
	return g.ClientID, nil
}

// Lacks names what keeps a registration from serving any delegated connection; "" if
// nothing does.
func (g Registration) Lacks() string {
	var out []string
	if g.ClientID == "" {
		out = append(out, "a client id in the cloud "+g.Cloud)
	}
	if _, active := g.Active(); g.Kind == Confidential && g.ClientID != "" && !active {
		out = append(out, "a credential")
	}
	if !g.Manifest.Offline() {
		out = append(out, OfflineAccess+" in its manifest")
	}
	return strings.Join(out, ", ")
}
