package graphsim

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// appConsent are all requests to approve one app.
type appConsent struct {
	id, clientID string
	requests     []*directory.ApprovalRequest
}

// appConsents groups the tenant's requests by app, the first that was asked
// for first.
func (r *request) appConsents() []appConsent {
	var out []appConsent
	for _, a := range r.tenant.ApprovalRequests {
		i := slices.IndexFunc(out, func(c appConsent) bool { return strings.EqualFold(c.clientID, a.ClientID) })
		if i < 0 {
			out = append(out, appConsent{id: directory.NameID("app consent request", r.tenant.ID, strings.ToLower(a.ClientID)), clientID: a.ClientID})
			i = len(out) - 1
		}
		out[i].requests = append(out[i].requests, a)
	}
	return out
}

// approvalLife is how long a request waits where the tenant's policy does not
// say (30 days).
func (r *request) approvalLife() int {
	if r.tenant.ConsentRequests != nil {
		if days, ok := r.tenant.ConsentRequests.Members["requestDurationInDays"].(int); ok && days > 0 {
			return days
		}
	}
	return 30
}

func (r *request) approvalStatus(a *directory.ApprovalRequest) string {
	if open := a.Status == "" || a.Status == "InProgress"; !open {
		return a.Status
	}
	if r.now.After(a.Requested.AddDate(0, 0, r.approvalLife())) {
		return "Expired"
	}
	return "InProgress"
}

// appConsentType: resource type appConsentRequest.
var appConsentType = newEntity("appConsentRequest",
	prop("id", func(_ *request, c appConsent) any { return c.id }),
	prop("appId", func(_ *request, c appConsent) any { return c.clientID }),
	prop("appDisplayName", func(r *request, c appConsent) any {
		if a := r.tenant.App(c.clientID); a != nil {
			return a.Name
		}
		return nil
	}),
	prop("consentType", func(*request, appConsent) any { return "Static" }).inBeta(),
	prop("pendingScopes", func(_ *request, c appConsent) any {
		var names []string
		for _, a := range c.requests {
			for _, scopes := range a.Scopes {
				for _, scope := range scopes {
					if !slices.Contains(names, scope) {
						names = append(names, scope)
					}
				}
			}
		}
		slices.Sort(names)
		out := []any{}
		for _, name := range names {
			out = append(out, object("displayName", name))
		}
		return out
	}).plain(),
)

// userConsentType: resource type userConsentRequest.
var userConsentType = newEntity("userConsentRequest",
	prop("id", func(_ *request, a *directory.ApprovalRequest) any { return a.ID }),
	prop("approvalId", func(_ *request, a *directory.ApprovalRequest) any { return a.ID }),
	prop("createdDateTime", func(_ *request, a *directory.ApprovalRequest) any { return when(a.Requested) }),
	prop("completedDateTime", func(_ *request, a *directory.ApprovalRequest) any { return when(a.Decided) }),
	null("customData"),
	prop("status", func(r *request, a *directory.ApprovalRequest) any { return r.approvalStatus(a) }),
	prop("reason", func(_ *request, a *directory.ApprovalRequest) any { return text(a.Reason) }),
	prop("createdBy", func(r *request, a *directory.ApprovalRequest) any { return identitySet(r, a.User) }),
	prop("approval", func(r *request, a *directory.ApprovalRequest) any {
		result, status := "NotReviewed", r.approvalStatus(a)
		if a.Result != "" {
			result = a.Result
		}
		stage := object("id", directory.NameID("approval stage", a.ID), "displayName", nil, "reviewedDateTime", when(a.Decided), "reviewResult", result, "status", status,
			"assignedToMe", !r.app() && r.reviews(), "justification", nil, "reviewedBy", userIdentity(r, a.Reviewer))
		return object("id", a.ID, "stages", []any{stage})
	}).plain(),
)

// identitySet names a user, or nobody.
func identitySet(r *request, id string) any {
	u := userIdentity(r, id)
	if u == nil {
		return nil
	}
	return object("application", nil, "device", nil, "user", u)
}

func userIdentity(r *request, id string) any {
	u := r.tenant.User(id)
	if u == nil {
		return nil
	}
	return object("id", u.ID, "displayName", u.Name, "userPrincipalName", u.UPN, "mail", text(u.Mail))
}

const appConsentSet = "identityGovernance/appConsent/appConsentRequests"

func listAppConsents(r *request) (*answer, error) {
	return r.list(listing{set: appConsentSet, types: []*entity{appConsentType}, page: 100, most: 999}, items(appConsentType, r.appConsents()))
}

// ofAppConsent is a handler on the requests for one app.
func ofAppConsent(fn func(*request, appConsent) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		for _, c := range r.appConsents() {
			if strings.EqualFold(c.id, r.vars[0]) {
				return fn(r, c)
			}
		}
		return nil, notFound(r.vars[0])
	}
}

func getAppConsent(r *request, c appConsent) (*answer, error) {
	return r.single(appConsentSet, item{appConsentType, c})
}

func listUserConsents(r *request, c appConsent) (*answer, error) {
	set := appConsentSet + "('" + c.id + "')/userConsentRequests"
	all := items(userConsentType, c.requests)
	if len(r.vars) == 1 {
		return r.list(listing{set: set, types: []*entity{userConsentType}, page: 100, most: 999}, all)
	}
	for _, it := range all {
		if strings.EqualFold(r.idOf(it), r.vars[1]) {
			return r.single(set, it)
		}
	}
	return nil, notFound(r.vars[1])
}

// reviews reports whether the caller is asked to review requests: named in the
// tenant's policy, or an administrator.
func (r *request) reviews() bool {
	if r.hasRole(cloudAppAdministrator, applicationAdministrator) {
		return true
	}
	if r.tenant.ConsentRequests == nil {
		return false
	}
	list, _ := r.tenant.ConsentRequests.Members["reviewers"].([]any)
	return slices.ContainsFunc(list, func(v any) bool {
		reviewer, _ := v.(map[string]any)
		query, _ := reviewer["query"].(string)
		return strings.HasSuffix(strings.ToLower(query), strings.ToLower("/users/"+r.claims.ObjectID))
	})
}

// currentReviewer: filterByCurrentUser(on='reviewer'), the caller's own view.
func currentReviewer(handle func(*request) (*answer, error), last string) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		on, _ := alternate(r.segments[len(r.segments)-1], "on")
		if !strings.EqualFold(on, "reviewer") {
			return nil, badRequest("filterByCurrentUser takes on='reviewer'.")
		}
		if !r.reviews() {
			return r.list(listing{set: appConsentSet, types: []*entity{map[string]*entity{"app": appConsentType, "user": userConsentType}[last]}}, nil)
		}
		if last == "user" {
			r.vars = r.vars[:1]
		}
		return handle(r)
	}
}

// rowsOfApproval are people's requests that an administrator approve an app.
// They are asked for and decided on the sign-in pages and in the portal.
func rowsOfApproval() {
	const get = http.MethodGet
	read := alike("ConsentRequest.Read.All", "ConsentRequest.ReadWrite.All").by(globalReader, cloudAppAdministrator, applicationAdministrator, directoryReaders)
	mine := read
	mine.roles, mine.app = nil, nil
	const users = appConsentSet + "/{id}/userConsentRequests"
	row(get, appConsentSet, read, listAppConsents)
	row(get, appConsentSet+"/filterByCurrentUser/{on}", mine, currentReviewer(listAppConsents, "app"))
	row(get, appConsentSet+"/{id}", read, ofAppConsent(getAppConsent))
	row(get, users, read, ofAppConsent(listUserConsents))
	row(get, users+"/filterByCurrentUser/{on}", mine, currentReviewer(ofAppConsent(listUserConsents), "user"))
	row(get, users+"/{request}", read, ofAppConsent(listUserConsents))
}
