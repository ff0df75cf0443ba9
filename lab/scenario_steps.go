package lab

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// post sends a token request and keeps the answer.
func (a *actor) post(path string, form url.Values) error {
	return a.send(http.MethodPost, a.lab.URL()+path, "application/x-www-form-urlencoded", form.Encode())
}

func (a *actor) send(method, address, contentType, body string) error {
	r, err := http.NewRequestWithContext(a.ctx, method, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	return a.take(r)
}

// take sends a request whose answer is JSON, and keeps the answer.
func (a *actor) take(r *http.Request) error {
	response, err := a.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	a.body = nil
	if len(data) > 0 {
		if err := json.Unmarshal(data, &a.body); err != nil {
			return fmt.Errorf("the answer with status %d is no JSON", response.StatusCode)
		}
	}
	return nil
}

const (
	scenarioClient  = "14d82eec-204b-4c2f-b7e8-296a70dab67e" // Microsoft Graph Command Line Tools
	scenarioCLI     = "04b07795-8ddb-461a-bbee-02f9e1bf7b46" // Microsoft Azure CLI
	scenarioScope   = "https://graph.microsoft.com/.default"
	scenarioUnknown = "11111111-2222-3333-4444-555555555555"
	jwtBearer       = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

func tokenPath(tenant string) string {
	if !strings.Contains(tenant, ".") && tenant != "common" && tenant != "organizations" {
		tenant += ".onmicrosoft.com"
	}
	return "/" + tenant + "/oauth2/v2.0/token"
}

// password signs a user of a tenant in at another tenant ("" for the same), with
// the user's own password ("" ) or another, through an app by name or id.
func password(home, user, at, secret, app string) act {
	if at == "" {
		at = home
	}
	through := "Microsoft Graph Command Line Tools"
	if app != "" {
		through = app
	}
	say := fmt.Sprintf("sign in as %s at %s with the password grant, through %s", user, at, through)
	if secret != "" {
		say += ", with " + secret
	}
	return act{say, func(a *actor) error {
		form := url.Values{"grant_type": {"password"}, "client_id": {scenarioClient}, "scope": {scenarioScope + " offline_access"}}
		t := a.lab.Tenant(home)
		if app != "" {
			form.Set("client_id", a.lab.Tenant(strings.TrimSuffix(at, ".onmicrosoft.com")).App(app).ClientID)
		}
		name, pass := user+"@"+strings.TrimSuffix(t.Domain, ".onmicrosoft.com")+".example", "not-the-password"
		for _, u := range t.Users {
			if short, _, _ := strings.Cut(u.UPN, "@"); short != user {
				continue
			}
			name = u.UPN
			switch {
			case secret == "" && u.Password != nil:
				pass = *u.Password
			case secret == "the app password" && u.AppPassword != nil:
				pass = *u.AppPassword
			}
		}
		form.Set("username", name)
		form.Set("password", pass)
		return a.post(tokenPath(at), form)
	}}
}

// app signs an app in for itself with its secret; change spoils the request.
func app(tenant, name, how string, change func(url.Values)) act {
	say := fmt.Sprintf("sign in as the app %q of %s with its secret", name, tenant)
	if how != "" {
		say += ", " + how
	}
	return act{say, func(a *actor) error {
		registered := a.lab.Tenant(tenant).App(name)
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {registered.ClientID}, "client_secret": {*registered.Secret}, "scope": {scenarioScope}}
		at := tenant
		if change != nil {
			change(form)
		}
		if moved := form.Get("at"); moved != "" {
			at = moved
			form.Del("at")
		}
		return a.post(tokenPath(at), form)
	}}
}

// assertion signs an app in with a certificate assertion that is spoilt.
func assertion(tenant, name, how string, change func(now time.Time, header map[jose.HeaderKey]any, claims map[string]any)) act {
	return act{fmt.Sprintf("sign in as the app %q of %s with a certificate, %s", name, tenant, how), func(a *actor) error {
		registered := a.lab.Tenant(tenant).App(name)
		data, err := os.ReadFile(*registered.CertificateFile)
		if err != nil {
			return err
		}
		pair, err := tls.X509KeyPair(data, data)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(pair.Certificate[0])
		now := a.lab.Now()
		header := map[jose.HeaderKey]any{"typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
		claims := map[string]any{"aud": a.lab.URL() + tokenPath(tenant), "iss": registered.ClientID, "sub": registered.ClientID, "jti": "1", "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}
		if change != nil {
			change(now, header, claims)
		}
		key := pair.PrivateKey
		if claims["foreign key"] != nil {
			delete(claims, "foreign key")
			if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
				return err
			}
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.PS256, Key: key}, &jose.SignerOptions{ExtraHeaders: header})
		if err != nil {
			return err
		}
		payload, err := json.Marshal(claims)
		if err != nil {
			return err
		}
		jws, err := signer.Sign(payload)
		if err != nil {
			return err
		}
		compact, err := jws.CompactSerialize()
		if err != nil {
			return err
		}
		return a.post(tokenPath(tenant), url.Values{"grant_type": {"client_credentials"}, "client_id": {registered.ClientID}, "scope": {scenarioScope}, "client_assertion_type": {jwtBearer}, "client_assertion": {compact}})
	}}
}

// control changes the lab through its control port.
func control(say, method, path, body string) act {
	return act{say + fmt.Sprintf(" (%s %s %s)", method, path, body), func(a *actor) error {
		return a.send(method, a.lab.Ready().ControlURL+path, "application/json", body)
	}}
}

// refresh redeems the refresh token of the step before.
func refresh(tenant, client, how string) act {
	return act{"redeem the refresh token, " + how, func(a *actor) error {
		value, _ := a.body["refresh_token"].(string)
		if value == "" {
			return errors.New("the step before gave no refresh token")
		}
		return a.post(tokenPath(tenant), url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {value}, "scope": {scenarioScope}})
	}}
}

// keeping does a step without losing the answer of the one before.
func keeping(step act) act {
	return act{step.say, func(a *actor) error {
		kept := a.body
		err := step.do(a)
		a.body = kept
		return err
	}}
}

func get(say, path string) act {
	return act{say, func(a *actor) error { return a.send(http.MethodGet, a.lab.URL()+path, "", "") }}
}

func with(name, value string) func(url.Values) { return func(f url.Values) { f.Set(name, value) } }

func without(name string) func(url.Values) { return func(f url.Values) { f.Del(name) } }

const backup = "Backup app"
