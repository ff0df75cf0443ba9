package lab

import (
	"cmp"
	"slices"
	"strings"
)

// Tally is how often the same was asked: token requests of one client for one
// user, say.
type Tally struct {
	Service   string `json:"service"`
	GrantType string `json:"grant_type"`
	ClientID  string `json:"client_id"`
	Username  string `json:"username"`
	Status    int    `json:"status"`
	Count     int    `json:"count"`
}

// tally counts exchanges by service, grant, client, user and status, in that
// order.
func tally(list []Exchange) []Tally {
	counts := map[Tally]int{}
	for _, e := range list {
		counts[Tally{Service: e.Service, GrantType: e.GrantType, ClientID: strings.ToLower(e.ClientID), Username: strings.ToLower(e.Username), Status: e.Status}]++
	}
	out := []Tally{}
	for t, n := range counts {
		t.Count = n
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Tally) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.GrantType, b.GrantType), cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Username, b.Username), cmp.Compare(a.Status, b.Status))
	})
	return out
}

// Refreshes counts the redemptions of refresh tokens that the journal knows,
// refused ones too: by client id and user name, "" standing for any.
func (l *Lab) Refreshes(clientID, username string) int {
	match := Fault{Service: loginService, Grant: "refresh_token", Client: clientID, User: username}
	return len(l.journal.find(func(e Exchange) bool { return match.matches(&e) }))
}
