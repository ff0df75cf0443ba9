package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/connection"
	"gatehouse/internal/fault"
	"gatehouse/internal/microsoft/sharepoint"
)

// Bounds of what a caller sends, in bytes.
const (
	maxResource = 300
	maxClaims   = 8 << 10
)

// resources are the URIs for which a connection's tokens may be, by service; a
// service whose host is not known is left out.
func (s *Service) resources(ctx context.Context, st *standing) (map[string][]string, error) {
	out := map[string][]string{}
	for _, name := range st.services() {
		uri := ""
		switch name {
		case connection.Graph:
			uri = s.Cloud.GraphResource
		case connection.BusinessCentral:
			uri = s.Cloud.BusinessCentralResource
		case connection.Exchange:
			uri = s.Cloud.ExchangeResource
		case connection.SharePoint:
			host, err := s.sharePoint(ctx, st)
			if err != nil {
				return nil, err
			}
			if host == "" {
				continue
			}
			for _, suffix := range []string{"", "-admin", "-my"} {
				_, uri := s.Cloud.SharePointHost(host + suffix)
				out[name] = append(out[name], uri)
			}
			continue
		}
		if uri != "" {
			out[name] = []string{uri}
		}
	}
	return out, nil
}

// sharePoint is the name of the tenant's SharePoint hosts; "" if it is not known.
func (s *Service) sharePoint(ctx context.Context, st *standing) (string, error) {
	for _, address := range []string{st.Site, st.AdminURL} {
		if name, _, ok := s.Cloud.SharePointName(address); ok {
			return strings.TrimSuffix(strings.TrimSuffix(name, "-admin"), "-my"), nil
		}
	}
	if s.Host != nil {
		if name, err := s.Host(ctx, st.OfTenant); err != nil || name != "" {
			return name, err
		}
	}
	at, err := s.Tenants.Directory(ctx, st.OfTenant)
	if err != nil {
		return "", err
	}
	return sharepoint.FromDomain(at.Initial), nil
}

// resourceOf gives the URI of what a caller asks a token for: a service's name, a
// URI, or a scope of it; "" stands for the only service. The error is a
// [fault.Field] that lists what may be asked for.
func (s *Service) resourceOf(ctx context.Context, st *standing, asked string) (string, error) {
	known, err := s.resources(ctx, st)
	if err != nil {
		return "", err
	}
	name := strings.ToLower(strings.TrimSpace(asked))
	if services := st.services(); name == "" && len(services) == 1 {
		name = services[0]
	}
	if uris := known[name]; len(uris) > 0 {
		return uris[0], nil
	}
	all := []string{}
	root := rootOf(name)
	for _, uris := range known {
		for _, uri := range uris {
			if root != "" && root == rootOf(strings.ToLower(uri)) {
				return uri, nil
			}
			all = append(all, uri)
		}
	}
	slices.Sort(all)
	names := append(st.services(), all...)
	switch {
	case asked == "":
		return "", fault.Of("resource", "is missing, and the connection has several services", "use one of "+strings.Join(names, ", "))
	case name == connection.SharePoint && slices.Contains(st.services(), name):
		return "", fault.Of("resource", "is sharepoint, and the name of the tenant's SharePoint is not known", "enter the site's address in the connection")
	}
	return "", fault.Of("resource", fmt.Sprintf("is %.100q, which is none of the connection's services", asked), "use one of "+strings.Join(names, ", ")+", or add the service to the connection")
}

// rootOf is scheme and host of a resource or scope; "" if it is neither.
func rootOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxResource || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(strings.Trim(u.Path, "/"), "/") {
		return ""
	}
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, ":443")
}

// checkClaims demands that a challenge is what the protocol says (OpenID Connect
// Core §5.5): a JSON object of objects.
func checkClaims(text string) error {
	if text == "" {
		return nil
	}
	if _, err := readChallenge(text); err != nil || len(text) > maxClaims {
		return fault.Of("claims", "are no JSON object of objects of at most 8 kB", "pass on what the service sent as claims, decoded from base64")
	}
	return nil
}

// claimsRequest is what a claims challenge asks for: what tokens of either kind are to hold.
type claimsRequest map[string]map[string]json.RawMessage

func readChallenge(text string) (claimsRequest, error) {
	var c claimsRequest
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, fmt.Errorf("reading claims: %w", err)
	}
	if c == nil {
		return nil, errors.New("reading claims: they are null")
	}
	return c, nil
}

// accessToken is where a challenge says what an access token is to hold.
const accessToken = "access_token"

// capability is the client's promise to answer claims challenges, as a claim of the
// tokens that it asks for (entra-sign-in §10).
const capability = "xms_cc"

// capable adds the promise to a challenge, or to none.
func capable(text string) (string, error) {
	c := claimsRequest{}
	if text != "" {
		var err error
		if c, err = readChallenge(text); err != nil {
			return "", err
		}
	}
	if c[accessToken] == nil {
		c[accessToken] = map[string]json.RawMessage{}
	}
	c[accessToken][capability] = json.RawMessage(`{"values":["cp1"]}`)
	data, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	return string(data), nil
}

// declares reports whether a challenge holds the promise already.
func declares(text string) bool {
	c, err := readChallenge(text)
	if text == "" || err != nil {
		return false
	}
	var asked struct {
		Value  string   `json:"value"`
		Values []string `json:"values"`
	}
	if json.Unmarshal(c[accessToken][capability], &asked) != nil {
		return false
	}
	return slices.ContainsFunc(append(asked.Values, asked.Value), func(s string) bool { return strings.EqualFold(s, "cp1") })
}
