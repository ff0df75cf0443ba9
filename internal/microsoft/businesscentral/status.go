package businesscentral

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/microsoft"
)

// The codes of an environment that is not Active.
const (
	CodeBusy = "environment_busy"       // it becomes Active by itself
	CodeGone = "environment_not_active" // it does not
)

// passing are the statuses that end by themselves.
var passing = []string{"NotReady", "Preparing", "Upgrading", "Recovering"}

// Ready refuses an environment that is not Active, with the status named. One whose
// status is not known is taken as it is.
func (e Environment) Ready() error {
	if e.Status == "" || strings.EqualFold(e.Status, Active) {
		return nil
	}
	out := &microsoft.Error{Service: microsoft.ServiceBusinessCentral, Op: "finding the environment", Status: http.StatusServiceUnavailable, Code: CodeBusy,
		Message: fmt.Sprintf("the environment %q is %s, and serves nobody until it is Active", e.Name, e.Status)}
	if !slices.ContainsFunc(passing, func(s string) bool { return strings.EqualFold(s, e.Status) }) {
		out.Status, out.Code = http.StatusNotFound, CodeGone
	}
	return out
}

// administrators are the directory roles whose people may ask the admin centre:
// Global, Dynamics 365 and Business Central Administrator.
var administrators = []string{"62e90394-69f5-4237-9190-012177145e10", "44367163-eba1-44c3-98af-f5787879f96a", "963797fb-eb3b-4cde-8ce3-5878b3f32a3f"}

// MayAdminister reports whether a token may be good for the admin centre: by its
// application permissions, or the directory roles of its person.
func MayAdminister(roles, wids []string) bool {
	return slices.Contains(roles, "AdminCenter.ReadWrite.All") || slices.ContainsFunc(wids, func(id string) bool { return slices.Contains(administrators, id) })
}

// Described gives environments the status that the admin centre's list has.
func Described(all, admin []Environment) []Environment {
	out := slices.Clone(all)
	for i := range out {
		for _, a := range admin {
			if strings.EqualFold(a.Name, out[i].Name) {
				out[i].Status = a.Status
			}
		}
	}
	return out
}
