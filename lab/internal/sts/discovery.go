package sts

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// instanceDiscovery tells a client whether a host is a Microsoft authority
// (entra-sign-in §2.1). Unknown hosts are refused as invalid_instance.
func (s *Server) instanceDiscovery(w http.ResponseWriter, r *http.Request) {
	if allowScripts(w, r) {
		return
	}
	ids := idsOf(r)
	endpoint, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || endpoint.Host == "" {
		s.answerRefusal(w, r, ids, missingParameter("authorization_endpoint"))
		return
	}
	host := strings.ToLower(endpoint.Host)
	known := []Cloud{s.cloud(s.hostOf(r))}
	for _, c := range s.cfg.Clouds {
		if c.Cache != known[0].Cache {
			known = append(known, c)
		}
	}
	// One entry a cloud: aliases share tokens, clouds do not.
	groups := make([]map[string]any, len(known))
	found := false
	for i, c := range known {
		groups[i] = map[string]any{"preferred_network": c.Login[0], "preferred_cache": c.Cache, "aliases": c.Login}
		found = found || slices.Contains(c.Login, host)
	}
	if !found {
		s.answerRefusal(w, r, ids, refuse("invalid_instance", 50049, "The instance '%s' is not a known authority.", clip(host)))
		return
	}
	tenant := strings.Split(strings.Trim(endpoint.Path, "/"), "/")[0]
	s.answer(w, ids, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": fmt.Sprintf("https://%s/%s/v2.0/.well-known/openid-configuration", host, url.PathEscape(tenant)),
		"api-version":               "1.1",
		"metadata":                  groups,
	})
}

// metadata is the OpenID document. The shared authorities carry a template in
// the issuer where the tenant would stand (entra-sign-in §2.2).
func (s *Server) metadata(w http.ResponseWriter, r *http.Request, tenant string, v2 bool) {
	if allowScripts(w, r) {
		return
	}
	ids := idsOf(r)
	root, cloud := s.cfg.Root(r), s.cloud(s.hostOf(r))
	id := "{tenantid}"
	region := "EU"
	if !shared(tenant) {
		if !s.cfg.Store.View(tenant, func(t *directory.Tenant) { id = t.ID }) {
			refused := unknownTenant(clip(tenant))
			refused.oauth = "invalid_tenant" // this address's own word for it
			s.answerRefusal(w, r, ids, refused)
			return
		}
		tenant = id
	}
	path, issuer := root+"/"+tenant+"/oauth2", "https://sts.windows.net/"+id+"/"
	keys := root + "/" + tenant + "/discovery/keys"
	if v2 {
		path, issuer = path+"/v2.0", root+"/"+id+"/v2.0"
		keys = root + "/" + tenant + "/discovery/v2.0/keys"
	}
	// Only what is served is announced.
	s.answer(w, ids, http.StatusOK, map[string]any{
		"issuer":                                issuer,
		"authorization_endpoint":                path + "/authorize",
		"token_endpoint":                        path + "/token",
		"device_authorization_endpoint":         path + "/devicecode",
		"end_session_endpoint":                  path + "/logout",
		"jwks_uri":                              keys,
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"response_modes_supported":              []string{"query", "fragment", "form_post"},
		"response_types_supported":              []string{"code", "id_token", "code id_token"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"claims_supported": []string{"sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host",
			"aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"},
		"request_uri_parameter_supported": false,
		"userinfo_endpoint":               "https://" + cloud.Graph[0] + "/oidc/userinfo",
		"tenant_region_scope":             region,
		"cloud_instance_name":             cloud.Instance,
		"cloud_graph_host_name":           "graph.windows.net",
		"msgraph_host":                    cloud.Graph[0],
	})
}

func (s *Server) keys(w http.ResponseWriter, r *http.Request) {
	if allowScripts(w, r) {
		return
	}
	set, err := s.cfg.Tokens.KeySet()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.answer(w, idsOf(r), http.StatusOK, set)
}

// realm is the answer to "who authenticates this user name?".
type realm struct {
	AccountType     string `json:"account_type"` // Managed, Federated, Unknown
	DomainName      string `json:"domain_name,omitempty"`
	CloudInstance   string `json:"cloud_instance_name"`
	CloudAudience   string `json:"cloud_audience_urn"`
	Ver             string `json:"ver"`
	Protocol        string `json:"federation_protocol,omitempty"`
	MetadataURL     string `json:"federation_metadata_url,omitempty"`
	ActiveURL       string `json:"federation_active_auth_url,omitempty"`
	FederationBrand string `json:"federation_brand_name,omitempty"`
}

// userRealm answers GET /common/UserRealm/{upn} (entra-sign-in §7).
func (s *Server) userRealm(w http.ResponseWriter, r *http.Request, upn string) {
	_, domain, ok := strings.Cut(strings.ToLower(upn), "@")
	answer := realm{AccountType: "Unknown", CloudInstance: s.cloud(s.hostOf(r)).Instance, CloudAudience: "urn:federation:MicrosoftOnline", Ver: "1.0"}
	if ok {
		s.cfg.Store.View(domain, func(t *directory.Tenant) {
			answer.AccountType, answer.DomainName = "Managed", domain
		})
	}
	if f := s.federationOf(r, upn); f != nil {
		answer.AccountType, answer.Protocol, answer.MetadataURL, answer.ActiveURL = "Federated", f.Protocol, f.MetadataURL, f.ActiveURL
		answer.FederationBrand = f.Brand
	}
	s.answer(w, idsOf(r), http.StatusOK, answer)
}

// errorPage is what error_uri points to.
func (s *Server) errorPage(w http.ResponseWriter, r *http.Request) {
	code := html.EscapeString(r.URL.Query().Get("code"))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	_, _ = fmt.Fprintf(w, "<!doctype html><html lang=\"en\"><title>Error %s</title><h1>AADSTS%s</h1><p>This is the simulated sign-in service. "+
		"Paste the whole error into <code>gatehouse explain</code> to read what it means.</p></html>", code, code)
}
