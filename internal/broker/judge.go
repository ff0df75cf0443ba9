package broker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/connection"
	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
)

// The waits after a refusal, during which the service is not asked again. Each
// refusal in a row doubles them; a longer Retry-After counts.
const (
	coolLeast  = time.Minute     // after a refusal that only somebody's act changes
	coolMost   = time.Hour       //
	troubleMin = 5 * time.Second // while the service is in trouble
	troubleMax = 5 * time.Minute //
	maxWait    = 24 * time.Hour  // whatever Retry-After says
)

// verdict is what a refusal means.
type verdict struct {
	passing   bool // the service is in trouble: it says nothing about the sign-in
	state     string
	reason    string
	diagnosis diagnosis.Diagnosis
	wait      time.Duration
}

// judge says what a refusal means for a connection.
func (s *Service) judge(st *standing, err error, e *microsoft.Error) verdict {
	d := diagnosis.Of(err, diagnosis.Facts{Account: st.Login, Unattended: st.Kind == connection.ServiceAccount, AppOnly: st.Kind == connection.App, ClientName: "", TenantID: st.Directory, Login: s.Cloud.Login})
	v := verdict{passing: passing(e), state: stateOf(e, d), diagnosis: d, reason: d.Title}
	if v.state == NeedsSignIn && st.Kind != connection.Delegated {
		v.state = Parked // nobody signs in for it: an operator has to act
	}
	if revoked := revocation(e); revoked != "" {
		v.reason = revoked
	}
	if v.passing {
		v.state, v.wait = st.State, growing(troubleMin, troubleMax, st.Failures)
	} else {
		v.wait = growing(coolLeast, coolMost, st.Failures)
	}
	v.wait = min(max(v.wait, e.RetryAfter), maxWait)
	return v
}

// growing doubles a wait with each failure before, and spreads it a little.
func growing(from, to time.Duration, failures int64) time.Duration {
	wait := from << min(max(failures, 0), 20)
	if wait > to || wait <= 0 {
		wait = to
	}
	return wait + time.Duration(rand.Int64N(int64(wait)/10+1)) //nolint:gosec // spreading, no secret
}

// passing reports that the service, or what stands in between, is in trouble: there
// is no answer, or none in the service's own form, or one that says "later".
func passing(e *microsoft.Error) bool {
	switch {
	case errors.Is(e, login.ErrExpired), e.Status == 0 && e.Code == "", e.Status >= http.StatusInternalServerError, e.Status == http.StatusTooManyRequests:
		return true
	case e.Code == "" && e.OAuth == "":
		return true
	}
	return e.OAuth == "temporarily_unavailable" || e.OAuth == "server_error"
}

// The states by category of the diagnosis. Others stand still until an
// administrator, the app's owner or an operator has acted: a sign-in alone changes
// nothing.
var states = map[string]string{
	"mfa_required": NeedsMFA, "mfa_enrollment": NeedsMFA,
	"consent_admin": NeedsConsent, "consent_user": NeedsConsent, "resource_principal_missing": NeedsConsent,
	"reauth_required": NeedsSignIn, "token_expired_or_revoked": NeedsSignIn, "password_expired": NeedsSignIn, "bad_credentials": NeedsSignIn,
}

// mfaOver are codes that say that a second factor was shown too long ago
// (entra-sign-in, table of codes): it is the factor that is asked for.
var mfaOver = []string{"AADSTS50078"}

func stateOf(e *microsoft.Error, d diagnosis.Diagnosis) string {
	switch {
	case slices.Contains(mfaOver, e.Code):
		return NeedsMFA
	case states[d.Category] != "":
		return states[d.Category]
	case e.Suberror == "bad_token" || e.Suberror == "token_expired":
		return NeedsSignIn
	case e.Suberror == "basic_action":
		return NeedsMFA
	case e.Suberror == "consent_required" || e.OAuth == "consent_required":
		return NeedsConsent
	}
	return Parked
}

// moments are the times that a text names.
var moments = regexp.MustCompile(`\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})?`)

// revocation says when a grant was revoked, where the service names it: AADSTS50173
// tells when the grant was issued and from when on the account's tokens are valid.
// It does not tell a new password from an administrator's revocation.
func revocation(e *microsoft.Error) string {
	if e.Code != "AADSTS50173" {
		return ""
	}
	times := []time.Time{}
	for _, text := range moments.FindAllString(e.Message, 4) {
		if !strings.HasSuffix(text, "Z") && !strings.ContainsAny(text[10:], "+-") {
			text += "Z"
		}
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			times = append(times, at.UTC())
		}
	}
	const form = "2 January 2006 15:04:05 UTC"
	switch len(times) {
	case 0:
		return "the sign-in was revoked by a password change, or by somebody who ended the account's sessions"
	case 1:
		return fmt.Sprintf("the sign-in was revoked by a password change, or by somebody who ended the account's sessions, at %s", times[0].Format(form))
	}
	issued, valid := times[0], times[1]
	if issued.After(valid) {
		issued, valid = valid, issued
	}
	return fmt.Sprintf("the sign-in was revoked by a password change, or by somebody who ended the account's sessions, at %s; it dated from %s", valid.Format(form), issued.Format(form))
}

// challenges are claims challenges that the service lately refused to answer
// without the person.
type challenges struct {
	mu   sync.Mutex
	list map[string]refusedChallenge
}

type refusedChallenge struct {
	until time.Time
	r     *Refused
}

// mostChallenges bounds how many are remembered.
const mostChallenges = 2000

func challengeKey(st *standing, challenge string) string {
	return st.ID + " " + st.stamp() + " " + digest(challenge)
}

func (c *challenges) blocked(st *standing, challenge string, now time.Time) error {
	if challenge == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.list[challengeKey(st, challenge)]
	if !ok || !now.Before(known.until) {
		return nil
	}
	r := *known.r
	r.RetryAfter = known.until.Sub(now)
	return &r
}

func (c *challenges) refused(st *standing, challenge string, until time.Time, r *Refused) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list == nil || len(c.list) >= mostChallenges {
		c.list = map[string]refusedChallenge{}
	}
	c.list[challengeKey(st, challenge)] = refusedChallenge{until, r}
}
