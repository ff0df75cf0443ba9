package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/posture"
	"gatehouse/internal/tenant"
)

// The rules by which a person's sign-in ends without anybody doing anything.
const (
	RuleFrequency  = "sign_in_frequency"
	RuleRemembered = "remembered_mfa"
	RuleIdle       = "idle"
)

// idleEnd is after how long without use a refresh token ends (700082:
// learn.microsoft.com/entra/identity-platform/refresh-tokens).
const idleEnd = 90 * 24 * time.Hour

// snapshot is the last one of a tenant's rules; nil if there is none.
func (s *Service) snapshot(ctx context.Context, tenantID string) (*posture.Snapshot, error) {
	snapshot, err := s.Tenants.Snapshot(ourselves(ctx), tenantID)
	if errors.Is(err, tenant.ErrNoSnapshot) {
		return nil, nil
	}
	return snapshot, err
}

// foresee gives the ends of a sign-in that can be foreseen, the nearest first.
func (s *Service) foresee(st *standing, snapshot *posture.Snapshot) []Forecast {
	out := append(s.byFrequency(st, snapshot), s.byRemembering(st)...)
	if s.KeepAlive < 0 && st.RefreshedAt != nil {
		at := st.RefreshedAt.Add(idleEnd).UTC()
		out = append(out, Forecast{At: &at, Rule: RuleIdle, Confidence: diagnosis.High, Text: "A sign-in that is not used for 90 days ends. Keeping idle sign-ins alive is switched off (broker.keep_alive_days): any token that is asked for puts this off."})
	}
	slices.SortStableFunc(out, func(a, b Forecast) int {
		switch {
		case a.At == nil && b.At == nil:
			return 0
		case a.At == nil:
			return 1
		case b.At == nil:
			return -1
		}
		return a.At.Compare(*b.At)
	})
	return out
}

// began is when the person last proved who they are, as far as it is known.
func (st *standing) began() *time.Time {
	if st.AuthTime != nil {
		return utc(st.AuthTime)
	}
	return utc(st.SignedInAt)
}

// flows are the ways of signing in by which policies may be met: in the browser at
// the sign-in, as other software when it is renewed.
func (st *standing) flows() []posture.Flow {
	if st.Flow == "device" {
		return []posture.Flow{posture.FlowDeviceCode, posture.FlowDesktop}
	}
	return []posture.Flow{posture.FlowBrowser, posture.FlowDesktop}
}

// byFrequency is what sign-in frequency policies make of a sign-in: the strictest
// that surely applies, and a stricter one that may.
func (s *Service) byFrequency(st *standing, snapshot *posture.Snapshot) []Forecast {
	began := st.began()
	if began == nil {
		return nil
	}
	if snapshot == nil {
		return []Forecast{{Rule: RuleFrequency, Confidence: diagnosis.Low, Text: "Whether a sign-in frequency policy ends the sign-in is not known: no snapshot of the tenant's rules is there. Set up the reader on the tenant's page."}}
	}
	account, found := snapshot.Account(st.ObjectID)
	if !found {
		if account, found = snapshot.Account(st.Username); !found {
			account = posture.Account{ID: st.ObjectID, UPN: st.Username, Type: "Member"}
		}
	}
	sure, perhaps := map[string]posture.Frequency{}, map[string]posture.Frequency{}
	for _, service := range st.services() {
		for _, flow := range st.flows() {
			all, read := snapshot.Frequencies(account, posture.SignIn{ClientID: st.ClientID, Resource: posture.Services[service], Flow: flow, MFA: true})
			if !read && len(all) == 0 {
				return []Forecast{{Rule: RuleFrequency, Confidence: diagnosis.Low, Text: "Whether a sign-in frequency policy ends the sign-in is not known: the tenant's policies could not be read."}}
			}
			for _, f := range all {
				key := ""
				if f.Rule.ID != nil {
					key = *f.Rule.ID
				}
				if f.Sure {
					sure[key] = f
				} else {
					perhaps[key] = f
				}
			}
		}
	}
	var out []Forecast
	strictest := func(list map[string]posture.Frequency, confidence diagnosis.Confidence, below time.Duration) time.Duration {
		best, ok := posture.Frequency{}, false
		for _, f := range list {
			if !ok || f.Span() < best.Span() {
				best, ok = f, true
			}
		}
		if !ok || below > 0 && best.Span() >= below {
			return below
		}
		at := began.Add(best.Span())
		out = append(out, Forecast{At: &at, Rule: RuleFrequency, Confidence: confidence, Text: frequencyText(best, confidence)})
		return best.Span()
	}
	span := strictest(sure, diagnosis.High, 0)
	strictest(perhaps, diagnosis.Medium, span)
	return out
}

func frequencyText(f posture.Frequency, confidence diagnosis.Confidence) string {
	name := "a Conditional Access policy"
	if f.Rule.Name != nil {
		name = "the Conditional Access policy \"" + *f.Rule.Name + "\""
	}
	verb := " demands"
	if confidence != diagnosis.High {
		verb = ", if it applies, demands"
	}
	how := " a new sign-in " + spanWords(f.Every) + " after the last one (sign-in frequency)"
	if f.EveryTime {
		how = " a fresh sign-in every time (sign-in frequency), so that a token that was kept is worth nothing after some minutes"
	}
	text := name + verb + how + ". No software can get around it with a person's sign-in: use an app of its own with a certificate, which such policies do not touch, or have the policy's session control left to the apps that people sit at, or exclude this account from it."
	return strings.ToUpper(text[:1]) + text[1:]
}

func spanWords(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "one day"
	case d >= day && d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	case d == time.Hour:
		return "one hour"
	}
	return fmt.Sprintf("%d hours", d/time.Hour)
}

// byRemembering is what the tenant's setting "remember multifactor authentication on
// trusted devices" makes of a sign-in with a second factor. Graph does not tell it:
// it is known once it has ended a sign-in of this connection (50078).
func (s *Service) byRemembering(st *standing) []Forecast {
	began := st.began()
	if began == nil {
		return nil
	}
	const setting = "the tenant's setting \"remember multifactor authentication on trusted devices\" (Entra admin centre, Multifactor authentication, Additional cloud-based settings)"
	if st.FactorLasted == 0 {
		return []Forecast{{Rule: RuleRemembered, Confidence: diagnosis.Low, Text: "After how many days the second factor has to be shown again is not known: Microsoft Graph does not tell " + setting + "."}}
	}
	at := began.Add(time.Duration(st.FactorLasted) * 24 * time.Hour)
	return []Forecast{{At: &at, Rule: RuleRemembered, Confidence: diagnosis.Medium, Text: fmt.Sprintf("The second factor was too old after %d days the last time (50078): that is %s. A sign-in frequency policy for people and an app with a certificate for the software are the better way.", st.FactorLasted, setting)}}
}

// daysSince counts whole days.
func daysSince(from *time.Time, now time.Time) int64 {
	if from == nil || now.Before(*from) {
		return 0
	}
	return int64(now.Sub(*from) / (24 * time.Hour))
}
