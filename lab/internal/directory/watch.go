package directory

import (
	"strings"
	"time"
)

// Who is somebody who changes something, for the audit log.
type Who struct {
	User                 *User
	IPAddress, UserAgent string
}

// Watch notes what the tenant has, so that the function it gives can write down
// what came to be since: service principals, delegated grants and app roles. It
// is for consent that people give on the sign-in pages, which otherwise would
// neither stand in the audit log nor reach delta queries:
//
//	noted := t.Watch()
//	… Install, GrantScopes, GrantRole …
//	noted(directory.Who{User: user, IPAddress: address}, everybody, now)
//
// everybody says that an administrator consented for all people of the tenant.
func (t *Tenant) Watch() func(by Who, everybody bool, now time.Time) {
	principals, grants, roles := t.Principals, t.Grants, t.AppRoles
	return func(by Who, everybody bool, now time.Time) {
		w := watcher{t, by, now}
		for _, p := range t.Principals[len(principals):] {
			w.write("Add service principal", "Add", w.principal(p.ID))
			t.Touch(Change{Kind: "servicePrincipal", ID: p.ID})
		}
		before := map[string]*Grant{}
		for _, g := range grants {
			before[g.ID] = g
		}
		consented := map[string][]string{} // client → scopes
		for _, g := range t.Grants {
			old := before[g.ID]
			if old == g {
				continue
			}
			change := AuditChange{Name: "DelegatedPermissionGrant.Scope", New: quoted(strings.Join(g.Scopes, " "))}
			if old != nil {
				change.Old = quoted(strings.Join(old.Scopes, " "))
			}
			w.write("Add delegated permission grant", "Assign", w.principal(g.Resource, change))
			t.Touch(Change{Kind: "oAuth2PermissionGrant", ID: g.ID})
			consented[g.Client] = append(consented[g.Client], g.Scopes...)
		}
		for _, a := range t.AppRoles[len(roles):] {
			w.write("Add app role assignment to service principal", "Assign", w.principal(a.Resource, AuditChange{Name: "AppRole.Id", New: quoted(a.Role)}))
			consented[a.Principal] = append(consented[a.Principal], a.Role)
		}
		for client, granted := range consented {
			truth := map[bool]string{true: quoted("True"), false: quoted("False")}[everybody]
			w.write("Consent to application", "Assign", w.principal(client, AuditChange{Name: "ConsentContext.IsAdminConsent", New: truth},
				AuditChange{Name: "ConsentContext.OnBehalfOfAll", New: truth}, AuditChange{Name: "ConsentAction.Permissions", New: quoted(strings.Join(granted, " "))}))
		}
	}
}

func quoted(s string) string { return `"` + s + `"` }

type watcher struct {
	t   *Tenant
	by  Who
	now time.Time
}

func (w watcher) principal(id string, changes ...AuditChange) AuditTarget {
	target := AuditTarget{ID: id, Type: "ServicePrincipal", Modified: changes}
	if p := w.t.Principal(id); p != nil {
		if a := w.t.App(p.ClientID); a != nil {
			target.Name = a.Name
		}
	}
	return target
}

func (w watcher) write(activity, operation string, target AuditTarget) {
	e := &Audit{ID: RandomID(), CorrelationID: RandomID(), Time: w.now, Activity: activity, Category: "ApplicationManagement", Operation: operation, Service: "Core Directory",
		IPAddress: w.by.IPAddress, UserAgent: w.by.UserAgent, Targets: []AuditTarget{target}}
	if u := w.by.User; u != nil {
		e.UserID, e.UPN, e.UserName = u.ID, u.UPN, u.Name
	}
	w.t.Audit(e)
}
