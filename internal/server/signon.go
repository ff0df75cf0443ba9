package server

import (
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"gatehouse/internal/config"
	"gatehouse/internal/console"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/pace"
	"gatehouse/internal/sso"
)

// signOn makes the directory through which operators sign in; nil if none is
// configured. It is not asked yet.
func signOn(c config.Config, cloud microsoft.Cloud, governor *pace.Governor) (*sso.Provider, error) {
	if c.OIDC.Issuer == "" {
		return nil, nil
	}
	var roots *x509.CertPool
	if c.OIDC.CAFile != "" {
		pem, err := os.ReadFile(c.OIDC.CAFile)
		if err != nil {
			return nil, fmt.Errorf("setting up single sign-on (oidc.ca_file): %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("setting up single sign-on (oidc.ca_file): %s holds no certificate", c.OIDC.CAFile)
		}
	}
	return sso.New(sso.Config{
		Issuer: c.OIDC.Issuer, ClientID: c.OIDC.ClientID, Secret: c.OIDC.ClientSecret, Name: c.OIDC.Name, Tenants: c.OIDC.Tenants,
		Redirect: strings.TrimSuffix(c.PublicURL, "/") + console.SSOCallback, Cloud: cloud, Roots: roots, Allow: c.EgressAllow, Pace: governor,
	})
}
