package rotation

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
)

// object is an application or service principal with its credentials.
type object struct {
	ID        string             `json:"id"`
	Owner     *string            `json:"appOwnerOrganizationId"` // of a service principal
	Passwords []graph.Credential `json:"passwordCredentials"`
	Keys      []graph.Credential `json:"keyCredentials"`
}

// The objects that hold keys, as they are stored, with their sets in Graph.
const (
	onApplication = "application"
	onPrincipal   = "service_principal"
)

var sets = map[string]string{onApplication: "applications", onPrincipal: "servicePrincipals"}

// print reads the thumbprint of a key: base64 of its bytes, or of its hexadecimal
// text, in upper case.
func print(c graph.Credential) string {
	if c.CustomKeyIdentifier == nil {
		return ""
	}
	text := *c.CustomKeyIdentifier
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
		if len(raw) == 20 {
			return strings.ToUpper(hex.EncodeToString(raw))
		}
		if len(raw) == 40 {
			text = string(raw)
		}
	}
	return strings.ToUpper(text)
}

// find gives the key id of a certificate; "" if it is not there.
func (o object) find(thumbprint string) string {
	for _, k := range o.Keys {
		if print(k) == thumbprint {
			return k.KeyID
		}
	}
	return ""
}

// credentials are those of an object but for one thumbprint and another.
func (o object) credentials(holder string, but ...string) []Credential {
	var out []Credential
	add := func(kind string, c graph.Credential) {
		one := Credential{Holder: holder, Kind: kind, KeyID: c.KeyID, Ends: utc(c.EndDateTime)}
		if c.DisplayName != nil {
			one.Label = *c.DisplayName
		}
		out = append(out, one)
	}
	for _, p := range o.Passwords {
		add("secret", p)
	}
	for _, k := range o.Keys {
		own := false
		for _, thumbprint := range but {
			own = own || print(k) == thumbprint
		}
		if !own {
			add("certificate", k)
		}
	}
	return out
}

// certificate opens one of a rotation's two certificates.
func (s *Service) certificate(ctx context.Context, r *row, column string) (login.Certificate, error) {
	public, sealed := r.OldCertificate, r.OldKey
	if column == "new_key" {
		public, sealed = r.NewCertificate, r.NewKey
	}
	key, err := s.Keys.Open(ctx, "rotations", r.ID, column, sealed)
	if err != nil {
		return login.Certificate{}, err
	}
	return login.ReadCertificate([]byte(public + key.Reveal()))
}

// graph signs the app in to a directory with a certificate.
func (s *Service) graph(ctx context.Context, directoryID string, r *row, c login.Certificate) (*graph.Client, error) {
	token, err := s.login.Certificate(ctx, directoryID, r.ClientID, c, []string{s.Cloud.GraphResource + "/.default"})
	if err != nil {
		return nil, err
	}
	return graph.New(graph.Config{Cloud: s.Cloud, Pace: s.Pace, Tenant: directoryID, Transport: s.Transport, Token: func(context.Context) (secrets.Value, error) { return token.Access, nil }})
}

const (
	applicationSelect = "?$select=id,passwordCredentials,keyCredentials"
	principalSelect   = applicationSelect + ",appOwnerOrganizationId"
)

func byApp(set, clientID string) string {
	return "/v1.0/" + set + "(appId='" + graph.PathKey(clientID) + "')"
}

// refused tells what Microsoft said no to from what it did not answer.
func refused(err error) bool {
	var e *microsoft.Error
	return errors.As(err, &e) && e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusRequestTimeout && e.RetryAfter == 0
}

// locate finds the object that holds the certificate which is used now: the
// application in its owner's tenant, or the service principal.
func (s *Service) locate(ctx context.Context, r *row, directoryID string, c login.Certificate) error {
	client, err := s.graph(ctx, directoryID, r, c)
	if err != nil {
		return fmt.Errorf("signing in with the present certificate: %w", err)
	}
	var principal, application object
	if err := client.Get(ctx, byApp(sets[onPrincipal], r.ClientID)+principalSelect, &principal); err != nil {
		return fmt.Errorf("reading the app's service principal: %w", err)
	}
	home := directoryID
	if principal.Owner != nil && *principal.Owner != "" && !strings.EqualFold(*principal.Owner, directoryID) {
		home = strings.ToLower(*principal.Owner)
		if client, err = s.graph(ctx, home, r, c); err != nil {
			return fmt.Errorf("signing in where the registration lies (tenant %s): %w", home, err)
		}
	}
	err = client.Get(ctx, byApp(sets[onApplication], r.ClientID)+applicationSelect, &application)
	if err != nil && (!refused(err) || principal.find(r.OldThumbprint) == "") {
		return fmt.Errorf("reading the app's registration in tenant %s: %w", home, err)
	}
	r.Holder, r.ObjectID, r.DirectoryID, r.OldKeyID = onApplication, application.ID, home, application.find(r.OldThumbprint)
	if r.OldKeyID == "" {
		r.Holder, r.ObjectID, r.DirectoryID, r.OldKeyID = onPrincipal, principal.ID, directoryID, principal.find(r.OldThumbprint)
	}
	if r.OldKeyID == "" {
		return errElsewhere
	}
	others, err := json.Marshal(append(application.credentials(onApplication, r.OldThumbprint, r.NewThumbprint), principal.credentials(onPrincipal, r.OldThumbprint, r.NewThumbprint)...))
	if err != nil {
		return fmt.Errorf("encoding the app's other credentials: %w", err)
	}
	r.Others = string(others)
	return nil
}

// errElsewhere says that the certificate in use is on neither object.
var errElsewhere = errors.New("the certificate that is in use was found neither on the application nor on its service principal")

// holder reads the object that holds the key.
func (s *Service) holder(ctx context.Context, r *row, client *graph.Client) (o object, err error) {
	err = client.Get(ctx, "/v1.0/"+sets[r.Holder]+"/"+graph.PathKey(r.ObjectID)+applicationSelect, &o)
	return o, err
}

// add sends addKey and gives the id of the new key.
func (s *Service) add(ctx context.Context, r *row, client *graph.Client, by login.Certificate) (string, error) {
	block, _ := pem.Decode([]byte(r.NewCertificate))
	if block == nil {
		return "", errors.New("reading the new certificate: it is not PEM")
	}
	proof, err := by.Proof(r.ObjectID, s.Now())
	if err != nil {
		return "", err
	}
	var made graph.Credential
	err = client.Create(ctx, "/v1.0/"+sets[r.Holder]+"/"+graph.PathKey(r.ObjectID)+"/addKey", map[string]any{
		"keyCredential":      map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(block.Bytes), "displayName": fmt.Sprintf("Gatehouse, %s", s.Now().UTC().Format(time.DateOnly))},
		"passwordCredential": nil, "proof": proof.Reveal(),
	}, &made)
	return made.KeyID, err
}

// remove sends removeKey of one key.
func (s *Service) remove(ctx context.Context, r *row, client *graph.Client, by login.Certificate, keyID string) error {
	proof, err := by.Proof(r.ObjectID, s.Now())
	if err != nil {
		return err
	}
	return client.Create(ctx, "/v1.0/"+sets[r.Holder]+"/"+graph.PathKey(r.ObjectID)+"/removeKey", map[string]any{"keyId": keyID, "proof": proof.Reveal()}, nil)
}
