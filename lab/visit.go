package lab

import (
	"net/http"
	"net/url"

	"gatehouse/lab/internal/sts"
)

// Person is who signs in with [Lab.SignIn], and what they do on the way.
type Person struct {
	UPN string `json:"upn"`
	// Factor gives the second factor where one is asked for, if the person has
	// registered a method that will do.
	Factor bool `json:"factor"`
	// Consent accepts what an app asks for; Organisation does so for everybody,
	// where the person may.
	Consent      bool `json:"consent"`
	Organisation bool `json:"organisation"`
}

// SignInRefused is a sign-in that would have ended on a page.
type SignInRefused = sts.Refused

// SignIn signs a person in at an authorize or admin consent address without a
// browser, as if every page had been filled in, and gives the address that the
// browser would be sent to: the app's, with the answer in its query whatever the
// response mode. For a device code the address is that of the device's page with
// the user code as otc ("…/common/oauth2/deviceauth?otc=ABCD"), which comes back
// unchanged. It takes well under a millisecond, for tests with thousands of
// people. Passwords are neither asked for nor checked; consent, policies, MFA and
// assignment stand as on the pages. The error is a [*SignInRefused] where the
// pages would have ended with a refusal. The journal does not know such visits,
// the sign-in log does.
func (l *Lab) SignIn(address string, p Person) (*url.URL, error) {
	return l.sts.Visit(address, sts.Visitor(p))
}

// manageVisits adds sign-ins without a browser to the control port.
func (l *Lab) manageVisits(mux *http.ServeMux) {
	mux.HandleFunc("POST /signin", func(w http.ResponseWriter, r *http.Request) {
		var visit struct {
			Person
			Address string `json:"address"`
		}
		if !readJSON(w, r, &visit) {
			return
		}
		location, err := l.SignIn(visit.Address, visit.Person)
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		writeJSON(w, map[string]string{"location": location.String()})
	})
}
