package graphsim

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

func noneFor(s string) string { return cmp.Or(s, "none") }

// riskMembers are those that riskyUser and its history share.
func riskMembers[T any](user func(*request, T) *directory.User, level, state, detail func(T) string) members {
	return slices.Concat(
		constant(false, "isDeleted", "isProcessing"),
		prop("riskLevel", func(_ *request, v T) any { return noneFor(level(v)) }),
		prop("riskState", func(_ *request, v T) any { return noneFor(state(v)) }),
		prop("riskDetail", func(_ *request, v T) any { return noneFor(detail(v)) }),
		prop("isGuest", func(r *request, v T) any { return user(r, v).Type == directory.Guest }).inBeta(),
		prop("userDisplayName", func(r *request, v T) any { return user(r, v).Name }),
		prop("userPrincipalName", func(r *request, v T) any { return user(r, v).UPN }),
	)
}

// riskyUserType: resource type riskyUser.
var riskyUserType = func() *entity {
	e := newEntity("riskyUser",
		prop("id", func(_ *request, u *directory.User) any { return u.ID }),
		riskMembers(func(_ *request, u *directory.User) *directory.User { return u },
			func(u *directory.User) string { return u.Risk.Level }, func(u *directory.User) string { return u.Risk.State }, func(u *directory.User) string { return u.Risk.Detail }),
		prop("riskLastUpdatedDateTime", func(_ *request, u *directory.User) any { return when(u.Risk.Updated) }),
	)
	e.typed = true // the documented answers name the type
	return e
}()

// riskChange is an entry of a user's history of risk.
type riskChange struct {
	user  *directory.User
	event directory.RiskEvent
}

// riskHistoryType: resource type riskyUserHistoryItem.
var riskHistoryType = func() *entity {
	e := newEntity("riskyUserHistoryItem",
		prop("id", func(_ *request, c riskChange) any { return c.event.ID }),
		riskMembers(func(_ *request, c riskChange) *directory.User { return c.user },
			func(c riskChange) string { return c.event.Level }, func(c riskChange) string { return c.event.State }, func(c riskChange) string { return c.event.Detail }),
		prop("riskLastUpdatedDateTime", func(_ *request, c riskChange) any { return when(c.event.Time) }),
		prop("userId", func(_ *request, c riskChange) any { return c.user.ID }),
		prop("initiatedBy", func(_ *request, c riskChange) any { return text(c.event.By) }),
		prop("activity", func(_ *request, c riskChange) any {
			return object("detail", noneFor(c.event.Detail), "eventTypes", []any{}, "riskEventTypes", []any{})
		}),
	)
	e.typed = true
	return e
}()

func historyOf(u *directory.User) []riskChange {
	out := make([]riskChange, len(u.Risk.History))
	for i, e := range u.Risk.History {
		out[i] = riskChange{u, e}
	}
	return out
}

// risky are the users of whom Identity Protection has ever thought anything.
func (r *request) risky() []*directory.User {
	var out []*directory.User
	for _, u := range r.tenant.Users {
		if !u.Risk.Updated.IsZero() || u.Risk.Level != "" {
			out = append(out, u)
		}
	}
	return out
}

const riskySet = "identityProtection/riskyUsers"

func listRisky(r *request) (*answer, error) {
	return r.list(listing{set: riskySet, types: []*entity{riskyUserType}, page: 20, most: 500}, items(riskyUserType, r.risky()))
}

// ofRisky is a handler on one risky user.
func ofRisky(fn func(*request, *directory.User) (*answer, error)) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		for _, u := range r.risky() {
			if strings.EqualFold(u.ID, r.vars[0]) {
				return fn(r, u)
			}
		}
		return nil, notFound(r.vars[0])
	}
}

func getRisky(r *request, u *directory.User) (*answer, error) {
	return r.single(riskySet, item{riskyUserType, u})
}

func listRiskHistory(r *request, u *directory.User) (*answer, error) {
	set := riskySet + "('" + u.ID + "')/history"
	all := items(riskHistoryType, historyOf(u))
	if len(r.vars) == 1 {
		slices.Reverse(all) // newest first
		return r.list(listing{set: set, types: []*entity{riskHistoryType}, page: 20, most: 500}, all)
	}
	for _, it := range all {
		if strings.EqualFold(r.idOf(it), r.vars[1]) {
			return r.single(set, it)
		}
	}
	return nil, notFound(r.vars[1])
}

// setRisk: actions confirmCompromised, confirmSafe and dismiss on up to 60
// users.
func setRisk(level, state, detail, name string) func(*request) (*answer, error) {
	return func(r *request) (*answer, error) {
		var ids []string
		if _, err := r.decode(map[string]any{"userIds": &ids}); err != nil {
			return nil, err
		}
		const most = 60
		if len(ids) == 0 || len(ids) > most {
			return nil, badRequest("userIds must name 1 to %d users.", most)
		}
		var users []*directory.User
		for _, id := range ids {
			u := r.tenant.User(id)
			if u == nil || !strings.EqualFold(u.ID, id) {
				return nil, notFound(id)
			}
			users = append(users, u)
		}
		by := ""
		if !r.app() {
			by = r.claims.ObjectID
		}
		for _, u := range users {
			r.changes = append(r.changes, &change{activity: activity{name, "RiskManagement", "Identity Protection"}, operation: "Update", it: item{riskStateType, u}, before: r.plainly(item{riskStateType, u})})
			u.SetRisk(level, state, detail, by, r.now)
		}
		return noContent(), nil
	}
}

// riskStateType is what the audit log shows of a changed risk.
var riskStateType = newEntity("riskState", prop("riskLevel", func(_ *request, u *directory.User) any { return noneFor(u.Risk.Level) }),
	prop("riskState", func(_ *request, u *directory.User) any { return noneFor(u.Risk.State) }))

// rowsOfRisk are risky users (Entra ID P2). Beta knows them under an older
// address, too.
func rowsOfRisk() {
	const get, post = http.MethodGet, http.MethodPost
	read := alike("IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All").by(securityReader, securityAdministrator, globalReader)
	write := alike("IdentityRiskyUser.ReadWrite.All").by(securityAdministrator)
	for _, place := range []struct{ set, only string }{{riskySet, ""}, {"riskyUsers", "beta"}} {
		row(get, place.set, read, listRisky, "P2", "throttled", place.only)
		row(get, place.set+"/{id}", read, ofRisky(getRisky), "P2", "throttled", place.only)
		row(get, place.set+"/{id}/history", read, ofRisky(listRiskHistory), "P2", "throttled", place.only)
		row(get, place.set+"/{id}/history/{entry}", read, ofRisky(listRiskHistory), "P2", "throttled", place.only)
		row(post, place.set+"/confirmCompromised", write, setRisk("high", "confirmedCompromised", "adminConfirmedUserCompromised", "ConfirmAccountCompromised"), "P2", "writes", "throttled", place.only)
		row(post, place.set+"/dismiss", write, setRisk("none", "dismissed", "adminDismissedAllRiskForUser", "DismissUser"), "P2", "writes", "throttled", place.only)
	}
	row(post, riskySet+"/confirmSafe", write, setRisk("none", "confirmedSafe", "adminConfirmedAccountSafe", "ConfirmSafe"), "P2", "writes", "throttled")
}
