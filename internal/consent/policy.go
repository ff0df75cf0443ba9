package consent

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
)

// UserPolicy is what a tenant lets its users consent to themselves.
type UserPolicy struct {
	ReadAt   time.Time `json:"read_at"`
	Policies []string  `json:"policies"` // ids of the permission grant policies that users have
	Verified *bool     `json:"verified"` // the app's publisher is verified; nil: not known
	Assigned bool      `json:"assigned"` // the app requires assignment
	Verdicts []Verdict `json:"verdicts"` // for each delegated permission of the manifest
}

// Verdict is whether a user may consent to one permission.
type Verdict struct {
	Permission
	May string `json:"may"` // yes, no, unknown
	Why string `json:"reason"`
}

// May values.
const (
	Yes    = "yes"
	No     = "no"
	NotYet = "unknown"
)

// Ids of Microsoft's own permission grant policies (entra-sign-in §9.3).
const (
	policyLow         = "microsoft-user-default-low"
	policyLegacy      = "microsoft-user-default-legacy"
	policyRecommended = "microsoft-user-default-recommended"
	policyMail        = "microsoft-user-default-allow-consent-apps"
	policyMailToo     = "microsoft-user-allow-default-consent-apps" // the page has both spellings
)

// Words says the setting in one sentence.
func (p UserPolicy) Words() string {
	words := map[string]string{
		policyLow:         "users may consent to permissions that are classed low, of verified publishers and the tenant's own apps",
		policyLegacy:      "users may consent to every permission that does not need an administrator, of any app",
		policyRecommended: "users may consent as Microsoft recommends at the time: not to files, sites, mail, calendars, chats and the like",
		policyMail:        "users may consent to mail permissions of a few mail apps that Microsoft names",
		policyMailToo:     "users may consent to mail permissions of a few mail apps that Microsoft names",
	}
	var all []string
	for _, id := range p.Policies {
		word := words[id]
		if word == "" {
			word = "users may consent as the tenant's own policy " + id + " says"
		}
		if !slices.Contains(all, word) {
			all = append(all, word)
		}
	}
	if len(all) == 0 {
		return "User consent is switched off: an administrator consents to every app."
	}
	text := strings.Join(all, "; ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// All reports whether users may consent to everything that is asked.
func (p UserPolicy) All() bool {
	return len(p.Verdicts) > 0 && !slices.ContainsFunc(p.Verdicts, func(v Verdict) bool { return v.May != Yes })
}

// readPolicy reads the tenant's setting for users, and holds the manifest against
// it; nil if the reader may not read it.
func readPolicy(ctx context.Context, client *graph.Client, own *principal, apis map[string]*principal, m Manifest, app Registration) (*UserPolicy, error) {
	var answer struct {
		Role struct {
			Assigned []string `json:"permissionGrantPoliciesAssigned"`
		} `json:"defaultUserRolePermissions"`
	}
	err := client.Get(ctx, "/v1.0/policies/authorizationPolicy", &answer)
	if refused, ok := errors.AsType[*microsoft.Error](err); ok && refused.Status == http.StatusForbidden {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &UserPolicy{ReadAt: time.Now().UTC(), Policies: []string{}, Verified: app.Verified}
	for _, id := range answer.Role.Assigned {
		// The same list holds managePermissionGrantsForOwnedResource.…, which is about
		// owners of groups and chats.
		if _, id, found := strings.Cut(strings.ToLower(id), "managepermissiongrantsforself."); found && len(p.Policies) < 20 {
			p.Policies = append(p.Policies, clip(id))
		}
	}
	if own != nil {
		p.Assigned = own.Assigned != nil && *own.Assigned
		verified := own.Verified != nil && own.Verified.ID != ""
		p.Verified = &verified
	}
	for _, one := range m.Permissions {
		if one.Kind == Delegated {
			p.Verdicts = append(p.Verdicts, p.judge(one, apis[strings.ToLower(one.Resource)]))
		}
	}
	return p, nil
}

// judge says whether a user may consent to a permission.
func (p *UserPolicy) judge(one Permission, api *principal) Verdict {
	v := Verdict{Permission: one, May: No}
	admin, known := false, false
	if api != nil {
		for _, scope := range api.Scopes {
			if strings.EqualFold(scope.Value, one.Name) {
				admin, known = scope.Type == "Admin", true
			}
		}
	}
	if slices.Contains(openID, one.Name) {
		admin, known = false, true
	}
	switch {
	case p.Assigned:
		v.Why = "the app requires assignment: an administrator consents"
	case len(p.Policies) == 0:
		v.Why = "user consent is switched off"
	case api == nil && !slices.Contains(openID, one.Name):
		v.Why = "the API is not in the tenant"
	case known && admin:
		v.Why = "Microsoft marks it as one that needs an administrator"
	default:
		p.judgePolicies(&v, known)
	}
	return v
}

// judgePolicies asks each policy: one that allows it suffices.
func (p *UserPolicy) judgePolicies(v *Verdict, known bool) {
	for _, id := range p.Policies {
		may, why := p.allows(id, v.Permission, known)
		if may == Yes || may == NotYet && v.May == No {
			v.May, v.Why = may, why
		} else if v.Why == "" {
			v.Why = why
		}
		if v.May == Yes {
			return
		}
	}
}

func (p *UserPolicy) allows(id string, one Permission, known bool) (may, why string) {
	switch id {
	case policyLegacy:
		if !known {
			return NotYet, "whether it needs an administrator could not be read"
		}
		return Yes, "users may consent to what needs no administrator"
	case policyLow:
		if p.Verified == nil {
			return NotYet, "whether the publisher is verified is not known before the app is in the tenant"
		}
		if !*p.Verified {
			return No, "the publisher is not verified"
		}
		if slices.Contains(openID, one.Name) {
			return NotYet, "it depends on whether the tenant classes it low"
		}
		return NotYet, "it depends on whether the tenant classes it low, which the reader may not read"
	case policyRecommended:
		if sensitive(one) {
			return No, "Microsoft's recommended setting leaves it to administrators"
		}
		return NotYet, "Microsoft's recommended setting does not name it among those for administrators, and may change at any time"
	case policyMail, policyMailToo:
		return No, "that setting is for a few mail apps"
	default:
		return NotYet, "the tenant has a policy of its own (" + id + ")"
	}
}

// sensitive reports what Microsoft's recommended policy excludes, as its
// documentation listed it in January 2026.
func sensitive(one Permission) bool {
	for _, start := range []string{"Files.", "Sites.", "AllSites.", "MyFiles.", "Mail.", "MailboxSettings.", "Calendars.", "Chat.", "ChatMessage.", "OnlineMeetings.", "OnlineMeeting", "Contacts.", "Tasks.", "People.Read", "EAS.", "EWS.", "IMAP.", "POP."} {
		if strings.HasPrefix(one.Name, start) {
			return true
		}
	}
	return false
}
