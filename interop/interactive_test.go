package interop

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // code apps use HMAC-SHA-1 (RFC 6238)
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"gatehouse/lab"
)

// demandMFA makes the lab ask a user for MFA.
func demandMFA(t *testing.T, l *lab.Lab, tenant lab.ReadyTenant, user lab.ReadyUser) {
	t.Helper()
	control(t, l, http.MethodPatch, "/tenants/"+tenant.ID+"/users/"+user.UPN, `{"per_user_mfa":"enforced"}`)
}

func control(t *testing.T, l *lab.Lab, method, path, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, l.Ready().ControlURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, data)
	}
}

// claimsOf reads the claims of an access token.
func claimsOf(t *testing.T, token string) (claims struct {
	Audience string   `json:"aud"`
	AMR      []string `json:"amr"`
	ACRS     []string `json:"acrs"`
	Roles    []string `json:"roles"`
	Tenant   string   `json:"tid"`
	Person   string   `json:"oid"`
	Scopes   string   `json:"scp"`
}) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %q", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// codeNow is what a code app shows.
func codeNow(t *testing.T, secret string, now time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, now.Unix()/30) // a hash takes everything
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0x0f
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff%1_000_000)
}

// publicClient is MSAL Go as Microsoft Graph Command Line Tools; it reaches the
// lab by its address.
func publicClient(t *testing.T, l *lab.Lab, tenant string) public.Client {
	t.Helper()
	client, err := public.New(commandLineTools, public.WithAuthority(l.URL()+"/"+tenant), public.WithHTTPClient(l.Client()), public.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// begin starts MSAL Go's interactive sign-in, which listens for the answer by
// itself, and gives the address that it wants opened and what it comes to.
func begin(t *testing.T, client public.Client, scopes []string, options ...public.AcquireInteractiveOption) (address string, wait func() (public.AuthResult, error)) {
	t.Helper()
	opened := make(chan string, 1)
	options = append(options, public.WithOpenURL(func(address string) error {
		opened <- address
		return nil
	}))
	wait = background(t, func(ctx context.Context) (public.AuthResult, error) {
		return client.AcquireTokenInteractive(ctx, scopes, options...)
	})
	return receive(t, opened, "address to open"), wait
}

// readProfile is what a person's sign-in to Microsoft's own clients is for.
var readProfile = []string{"User.Read"}

// signedIn waits for MSAL's own last page and its result, which must be for a
// user, with or without a second factor.
func signedIn(t *testing.T, l *lab.Lab, p *person, wait func() (public.AuthResult, error), user lab.ReadyUser, secondFactor bool) public.AuthResult {
	t.Helper()
	p.expectText("Authentication complete")
	result, err := wait()
	if err != nil {
		t.Fatal(err)
	}
	if amr := claimsOf(t, result.AccessToken).AMR; slices.Contains(amr, "mfa") != secondFactor || result.Account.PreferredUsername != user.UPN {
		t.Errorf("account %s, amr %v", result.Account.PreferredUsername, amr)
	}
	checkMe(t, l.Client(), l.URL(), result.AccessToken, user)
	return result
}

// MSAL Go signs people in through the pages, with each kind of second factor;
// the token tells of it.
func TestInteractiveSecondFactor(t *testing.T) {
	for name, factor := range map[string]struct {
		user string
		give func(p *person, user lab.ReadyUser)
	}{
		"push": {"maria.rossi", func(p *person, user lab.ReadyUser) {
			p.expect("Approve on your phone")
			p.approve(user)
		}},
		"code app":     {"wei.chen", func(p *person, user lab.ReadyUser) { p.giveCode(p.codeOf(user)) }},
		"text message": {"omar.haddad", func(p *person, user lab.ReadyUser) { p.giveCode(p.codeOf(user)) }},
		"another method": {"omar.haddad", func(p *person, user lab.ReadyUser) {
			p.expect("Enter the code")
			p.press("Use another method")
			p.expect("Choose how to confirm")
			p.press("Approve on the phone")
			p.expect("Approve on your phone")
			p.answer(user, "Deny")
			p.expectText("AADSTS500121")
			p.press("Call the phone")
			p.expectText("is being called")
			p.answer(user, "Approve")
		}},
		"wrong number": {"maria.rossi", func(p *person, user lab.ReadyUser) {
			p.expect("Approve on your phone")
			number := p.read(`//p[@class="number"]`)
			p.answer(user, p.lookAtPhone().read(`//button[@name="number"][normalize-space()!=`+quoted(number)+`]`))
			p.expectText("AADSTS500121")
			p.press("Approve on the phone")
			p.expect("Approve on your phone")
			p.approve(user)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := browsableLab(t)
			tenant := l.Tenant("callercove")
			user := tenant.User(factor.user)
			demandMFA(t, l, tenant, user)
			address, wait := begin(t, publicClient(t, l, tenant.ID), readProfile)
			p := newPerson(t, l)
			p.open(address)
			p.giveAccount(user)
			p.givePassword(user)
			factor.give(p, user)
			p.stay("No")
			signedIn(t, l, p, wait, user, true)
		})
	}
}

// Somebody without a method sets one up on the way in, and uses it the next time.
func TestInteractiveRegistration(t *testing.T) {
	for name, method := range map[string]struct {
		setUp, use func(p *person, user lab.ReadyUser)
	}{
		"Code app": {
			func(p *person, user lab.ReadyUser) {
				secret := strings.ReplaceAll(p.read(`#secret`), " ", "")
				p.fill("Code that the app shows now", codeNow(p.t, secret, p.lab.Now()))
				p.press("Verify")
			},
			func(p *person, user lab.ReadyUser) { p.giveCode(p.codeOf(user)) },
		},
		"Authenticator": {
			func(p *person, user lab.ReadyUser) { p.approve(user) },
			func(p *person, user lab.ReadyUser) {
				p.expect("Approve on your phone")
				p.approve(user)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := browsableLab(t)
			tenant := l.Tenant("callercove")
			user := tenant.User("tom.berg")
			demandMFA(t, l, tenant, user)
			client := publicClient(t, l, tenant.ID)
			for _, first := range []bool{true, false} {
				address, wait := begin(t, client, readProfile)
				p := newPerson(t, l)
				p.open(address)
				p.giveAccount(user)
				p.givePassword(user)
				if first {
					p.expect("Set up a second factor")
					p.press(name)
					p.expect("Connect your phone")
					method.setUp(p, user)
				} else {
					method.use(p, user)
				}
				p.stay("No")
				signedIn(t, l, p, wait, user, true)
			}
		})
	}
}

// The browser remembers who signed in, lets another account in beside, and
// forgets all of them at sign-out.
func TestInteractiveSession(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("callercove")
	maria, tom := tenant.User("maria.rossi"), tenant.User("tom.berg")
	client := publicClient(t, l, tenant.ID)
	p := newPerson(t, l)

	address, wait := begin(t, client, readProfile)
	p.open(address)
	p.giveAccount(maria)
	p.givePassword(maria)
	p.stay("Yes")
	signedIn(t, l, p, wait, maria, false)

	address, wait = begin(t, client, readProfile)
	p.open(address)
	p.expect("Choose an account")
	p.press("Maria Rossi") // no password
	signedIn(t, l, p, wait, maria, false)

	address, wait = begin(t, client, readProfile)
	p.open(address)
	p.expect("Choose an account")
	p.press("Use another account")
	p.giveAccount(tom)
	p.givePassword(tom)
	p.stay("No")
	signedIn(t, l, p, wait, tom, false)

	address, wait = begin(t, client, readProfile)
	p.open(address)
	p.expect("Choose an account")
	p.press("Tom Berg")
	signedIn(t, l, p, wait, tom, false)

	p.open(l.URL() + "/" + tenant.ID + "/oauth2/v2.0/logout")
	p.expect("Signed out")
	address, _ = begin(t, client, readProfile)
	p.open(address)
	p.expect("Sign in") // nobody is remembered
}

// An API that wants an authentication context gets it through MSAL's claims:
// the person, signed in with a password alone, is asked for a second factor.
func TestInteractiveClaims(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("callercove")
	user := tenant.User("wei.chen")
	client := publicClient(t, l, tenant.ID)
	p := newPerson(t, l)

	address, wait := begin(t, client, readProfile)
	p.open(address)
	p.giveAccount(user)
	p.givePassword(user)
	p.stay("No")
	signedIn(t, l, p, wait, user, false)

	address, wait = begin(t, client, readProfile, public.WithClaims(`{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`), public.WithLoginHint(user.UPN))
	p.open(address)
	p.expect("Choose an account")
	p.press("Wei Chen")
	p.giveCode(p.codeOf(user)) // no password
	result := signedIn(t, l, p, wait, user, true)
	if acrs := claimsOf(t, result.AccessToken).ACRS; !slices.Contains(acrs, "c1") {
		t.Errorf("acrs %v", acrs)
	}
}

// An expired password is changed on the way in; the new one is good at once.
func TestInteractiveExpiredPassword(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("brokenbay")
	user := tenant.User("svc-expired")
	client := publicClient(t, l, tenant.ID)
	address, wait := begin(t, client, readProfile)
	p := newPerson(t, l)
	p.open(address)
	p.giveAccount(user)
	p.givePassword(user)
	p.expect("Set a new password")
	p.fill("New password", "Quince-Orchard-7")
	p.fill("New password again", "Quince-Orchard-8")
	p.press("Change password")
	p.expectText("The two new passwords differ.")
	p.fill("New password", "Quince-Orchard-7")
	p.fill("New password again", "Quince-Orchard-7")
	p.press("Change password")
	p.stay("No")
	signedIn(t, l, p, wait, user, false)
	if _, err := msalPassword(t.Context(), client, graphUserRead, user.UPN, "Quince-Orchard-7"); err != nil {
		t.Errorf("with the new password: %v", err)
	}
}

// What goes wrong is said on the page; where no app may hear of it, with code,
// ids and time.
func TestInteractiveErrors(t *testing.T) {
	t.Parallel()
	l := browsableLab(t)
	tenant := l.Tenant("brokenbay")
	user, disabled := tenant.User("svc-ok"), tenant.User("svc-disabled")
	client := publicClient(t, l, tenant.ID)
	address, wait := begin(t, client, readProfile)
	p := newPerson(t, l)
	p.open(address)
	p.giveAccount(lab.ReadyUser{UPN: "nobody@brokenbay.example"})
	p.expectText("AADSTS50034")
	p.fill("User name", user.UPN)
	p.press("Next")
	wrong := "wrong"
	p.givePassword(lab.ReadyUser{Password: &wrong})
	p.expectText("AADSTS50126")
	p.press("Back")
	p.giveAccount(user)
	p.givePassword(user)
	p.stay("No")
	signedIn(t, l, p, wait, user, false)

	p = newPerson(t, l)
	address, _ = begin(t, client, readProfile)
	p.open(address)
	p.giveAccount(disabled)
	p.givePassword(disabled)
	p.expectText("AADSTS50057")

	const asked = "5b1f4c3e-9a77-4d0e-8f7b-2f1f9d5c6a10"
	address, err := client.AuthCodeURL(t.Context(), commandLineTools, "https://elsewhere.example/", readProfile)
	if err != nil {
		t.Fatal(err)
	}
	p.open(address + "&client-request-id=" + asked)
	p.expect("The sign-in did not work")
	said := p.text()
	for _, want := range []string{"AADSTS50011", asked, "Trace id", l.Now().UTC().Format("2006-01-02"), "https://elsewhere.example/"} {
		if !strings.Contains(said, want) {
			t.Errorf("the page does not say %s:\n%s", want, said)
		}
	}
}
