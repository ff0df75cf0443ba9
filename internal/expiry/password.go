package expiry

import (
	"strings"
	"time"
)

// account is a service account as Graph gives it.
type account struct {
	ID        string     `json:"id"`
	UPN       string     `json:"userPrincipalName"`
	Changed   *time.Time `json:"lastPasswordChangeDateTime"`
	Policies  *string    `json:"passwordPolicies"`
	Synced    *bool      `json:"onPremisesSyncEnabled"`
	GivenName string     `json:"displayName"`
}

const accountSelect = "id,userPrincipalName,displayName,lastPasswordChangeDateTime,passwordPolicies,onPremisesSyncEnabled"

// domain is a verified domain of a tenant.
type domain struct {
	Name     string `json:"id"`
	Kind     string `json:"authenticationType"`           // Managed or Federated
	Validity *int64 `json:"passwordValidityPeriodInDays"` // nil: not set
}

const domainSelect = "id,authenticationType,passwordValidityPeriodInDays"

// The lifetimes that Graph writes for "never", and means when it writes none
// (resource type domain).
const (
	foreverDays = 2147483647
	defaultDays = 90
)

// password is when an account's password ends: the last change plus the validity
// of the account's domain, unless the account's policies say never. Domains are
// nil if they could not be read, for the reason that is given.
func password(a account, domains []domain, unread string) (State, string, *time.Time) {
	policies := ""
	if a.Policies != nil {
		policies = *a.Policies
	}
	for p := range strings.SplitSeq(policies, ",") {
		if strings.EqualFold(strings.TrimSpace(p), "DisablePasswordExpiration") {
			return Never, "the account's password policy is DisablePasswordExpiration", nil
		}
	}
	if a.Synced != nil && *a.Synced {
		return Unknown, "the account comes from an on-premises directory, whose own policy ends its password", nil
	}
	if domains == nil {
		return Unknown, unread, nil
	}
	d := domainOf(a.UPN, domains)
	switch {
	case d == nil:
		return Unknown, "the domain of the account is none of the tenant's", nil
	case strings.EqualFold(d.Kind, "Federated"):
		return Unknown, "the domain " + d.Name + " is federated: the organisation's own server ends passwords", nil
	case a.Changed == nil:
		return Unknown, "Microsoft Graph does not say when the password was changed last", nil
	}
	days := int64(defaultDays)
	if d.Validity != nil {
		days = *d.Validity
	}
	if days <= 0 || days >= foreverDays {
		return Never, "passwords of " + d.Name + " do not expire", nil
	}
	const longest = 100 * 365 // what a date can still say
	if days > longest {
		return Never, "passwords of " + d.Name + " last for more than a century", nil
	}
	end := a.Changed.UTC().Add(time.Duration(days) * day)
	return Dated, "", &end
}

// domainOf finds the domain of a user name. A subdomain without an entry of its
// own goes by the one above it.
func domainOf(upn string, domains []domain) *domain {
	_, name, _ := strings.Cut(strings.ToLower(upn), "@")
	for name != "" {
		for i := range domains {
			if strings.EqualFold(domains[i].Name, name) {
				return &domains[i]
			}
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return nil
}
