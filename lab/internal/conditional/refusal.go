package conditional

import "encoding/json"

// Request is how the sign-in service was asked.
type Request int

// The ways of asking: with a person before a page, by a refresh token or another
// grant without one, by user name and password, and as an application.
const (
	Interactive Request = iota
	Silent
	Password
	Application
)

// Refusal is how the token service says no. Interactively a demand that the
// person can meet is no error yet: the page asks for it, and Code is what the
// log shows until then.
type Refusal struct {
	Verdict  Verdict
	Code     int    // AADSTS number
	OAuth    string // "error"
	Suberror string // "" for none
	Claims   string // JSON document, "" for none
	Policies []string
}

// Codes that only some requests see. Sources: conditional-access-evaluation §9,
// entra-sign-in §6 (530036).
const (
	codeChallenge    = 50074 // MFA, interactively
	codeEnrolment    = 50072 // registration, interactively
	codeOther        = 50131
	codeFlowTracking = 530036
)

// Refuse says how the decision is told to the one who asked; nil if it allows. A
// verdict that is not known is refused: the service lets nobody in on a policy
// that it cannot read.
func (d *Decision) Refuse(how Request) *Refusal {
	if d.Verdict == Allowed {
		return nil
	}
	out := &Refusal{Verdict: d.Verdict, Code: outcomes[d.demand].code, OAuth: "interaction_required", Policies: d.asking()}
	if how == Password || how == Application {
		out.OAuth = "invalid_grant"
	}
	essential := "polids"
	switch d.demand {
	case demandBlock, demandNoRegistration:
		out.Suberror, essential = "message_only", "capolids"
		if how == Interactive {
			out.OAuth = "access_denied"
		}
		if how == Silent && d.onlyTracked() {
			out.Code = codeFlowTracking
		}
	case demandMFA, demandStrength:
		out.Suberror = "basic_action"
		if how == Interactive {
			out.Code = codeChallenge
		}
	case demandRegistration:
		out.Suberror, out.OAuth = "basic_action", "interaction_required"
		if how == Interactive {
			out.Code = codeEnrolment
		}
	case demandCompliant, demandHybrid, demandApprovedApp:
		out.Suberror = "message_only"
	case demandAppProtection:
		out.Suberror, out.OAuth = "protection_policy_required", "unauthorized_client"
	case demandPassword, demandTerms, demandCustom:
		out.Suberror = "additional_action"
	default:
		out.Code, out.Suberror = codeOther, "message_only"
	}
	if essential == "capolids" || how == Silent {
		out.Claims = claims(essential, out.Policies)
	}
	return out
}

// asking are the ids of the policies that the refusal comes from: those that ask
// for what the person is told.
func (d *Decision) asking() []string {
	var out []string
	for _, p := range d.Policies {
		if p.enforced && p.Applies != DoesNotApply && p.demands[d.demand] && p.ID != "" {
			out = append(out, p.ID)
		}
	}
	return out
}

// onlyTracked reports whether every blocking policy applies only because of the
// flow that the session began with.
func (d *Decision) onlyTracked() bool {
	for _, p := range d.Policies {
		if p.enforced && p.Applies == Applies && p.demands[d.demand] && !p.tracked {
			return false
		}
	}
	return true
}

// claims is a claims document that names policies (entra-sign-in §4.3).
func claims(name string, ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	type values struct {
		Essential bool     `json:"essential"`
		Values    []string `json:"values"`
	}
	document, _ := json.Marshal(map[string]any{"access_token": map[string]values{name: {true, ids}}})
	return string(document)
}
