package consent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/pace"
)

// TellApart says why somebody from outside was refused in a tenant: a real guest
// account there, a partner's group that is not mapped to a role, or a Conditional
// Access policy for people of service providers. It reads the directory through the
// tenant's reader; without one, or with another refusal, it says what the code alone
// says.
func (s *Service) TellApart(ctx context.Context, tenantID, username string, refusal *microsoft.Error) (Explanation, error) {
	at, err := s.Tenants.Directory(ctx, tenantID)
	if err != nil {
		return Explanation{}, err
	}
	if err := s.Audit.Allow(ctx, tenantID, audit.ConsentView); err != nil {
		return Explanation{}, err
	}
	kind, _ := kindOf(refusal.OAuth, refusal.Code+": "+refusal.Message)
	if kind != Outsider && kind != Blocked {
		return Explain(kind), nil
	}
	reading, err := s.Tenants.Reading(ctx, tenantID)
	if err != nil {
		return Explanation{}, err
	}
	if reading == nil {
		e := Explain(kind)
		e.Words += " Which of these it is would be known with a reader of the tenant."
		return e, nil
	}
	client, err := s.Tenants.Graph(pace.Interactive(ctx), at.DirectoryID, reading)
	if err != nil {
		return Explanation{}, err
	}
	return apart(pace.Interactive(ctx), client, kind, username)
}

func apart(ctx context.Context, client *graph.Client, kind Kind, username string) (Explanation, error) {
	found, err := guestOf(ctx, client, username)
	if err != nil {
		return Explanation{}, err
	}
	if kind == Blocked {
		name, err := providerPolicy(ctx, client)
		if err != nil || name == "" || found != nil {
			return Explain(kind), err
		}
		e := Explain(ProviderBlocked)
		e.Words += fmt.Sprintf(" It is the policy %q.", name)
		return e, nil
	}
	if found == nil {
		return Explain(NoMapping), nil
	}
	e := Explain(Guest)
	e.Words += " It is " + clip(found.UserPrincipalName) + " (object id " + clip(found.ID) + ")."
	if found.AccountEnabled != nil && !*found.AccountEnabled {
		e.Words += " It is disabled."
	}
	return e, nil
}

// guestOf finds a guest account by the name that the person has at home; nil if
// there is none.
func guestOf(ctx context.Context, client *graph.Client, username string) (*graph.User, error) {
	// A guest's name here is that at home with _ for @, then #EXT#.
	local := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(username)), "@", "_")
	name := strings.ReplaceAll(strings.TrimSpace(username), "'", "''")
	filter := "startswith(userPrincipalName,'" + strings.ReplaceAll(local, "'", "''") + "#EXT#') or userPrincipalName eq '" + name + "'"
	users, err := graph.List[graph.User](ctx, client, "/v1.0/users?$filter="+graph.QueryValue(filter)+"&$select="+graph.ExternalSelect)
	if err != nil {
		return nil, err
	}
	if len(users) == 0 {
		mail := "mail eq '" + name + "' and userType eq 'Guest'"
		users, err = graph.List[graph.User](ctx, client, "/v1.0/users?$filter="+graph.QueryValue(mail)+"&$select="+graph.ExternalSelect)
		var refused *microsoft.Error
		if errors.As(err, &refused) && refused.Status == 400 {
			return nil, nil // the combination of filters is not served everywhere
		}
		if err != nil || len(users) == 0 {
			return nil, err
		}
	}
	for _, u := range users {
		if u.UserType != nil && *u.UserType == "Guest" || strings.Contains(u.UserPrincipalName, "#EXT#") {
			return &u, nil
		}
	}
	return nil, nil
}

// providerPolicy finds a policy in force that stops people of service providers; ""
// if there is none.
func providerPolicy(ctx context.Context, client *graph.Client) (string, error) {
	policies, err := graph.List[graph.Policy](ctx, client, "/v1.0/identity/conditionalAccess/policies")
	if err != nil {
		return "", err
	}
	for _, p := range policies {
		if p.State == "enabled" && stopsProviders(p.Raw) {
			return clip(p.DisplayName), nil
		}
	}
	return "", nil
}

// stopsProviders reports whether a policy refuses users of service providers, who
// are neither guests nor members (graph-mfa-posture; Conditional Access: guest or
// external user types).
func stopsProviders(raw json.RawMessage) bool {
	type outsiders struct {
		Types string `json:"guestOrExternalUserTypes"`
	}
	var p struct {
		Conditions struct {
			Users struct {
				Include  []string   `json:"includeUsers"`
				Exclude  []string   `json:"excludeUsers"`
				Outside  *outsiders `json:"includeGuestsOrExternalUsers"`
				Excluded *outsiders `json:"excludeGuestsOrExternalUsers"`
			} `json:"users"`
		} `json:"conditions"`
		Grant *struct {
			Controls []string `json:"builtInControls"`
		} `json:"grantControls"`
	}
	if json.Unmarshal(raw, &p) != nil || p.Grant == nil {
		return false
	}
	names := func(o *outsiders) bool {
		return o != nil && slices.ContainsFunc(strings.Split(o.Types, ","), func(t string) bool { return strings.TrimSpace(t) == "serviceProvider" })
	}
	users := p.Conditions.Users
	included := slices.Contains(users.Include, "All") || names(users.Outside)
	demands := slices.ContainsFunc(p.Grant.Controls, func(c string) bool { return c == "block" || c == "compliantDevice" || c == "domainJoinedDevice" })
	return included && demands && !names(users.Excluded)
}
