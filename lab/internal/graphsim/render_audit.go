package graphsim

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// auditType: resource type directoryAudit.
var auditType = func() *entity {
	e := newEntity("directoryAudit",
		prop("id", func(_ *request, e *directory.Audit) any { return e.ID }),
		prop("activityDateTime", func(_ *request, e *directory.Audit) any { return when(e.Time) }),
		prop("activityDisplayName", func(_ *request, e *directory.Audit) any { return e.Activity }),
		prop("category", func(_ *request, e *directory.Audit) any { return e.Category }),
		prop("correlationId", func(_ *request, e *directory.Audit) any { return e.CorrelationID }),
		prop("loggedByService", func(_ *request, e *directory.Audit) any { return e.Service }),
		prop("operationType", func(_ *request, e *directory.Audit) any { return e.Operation }),
		constant("success", "result"),
		constant("", "resultReason"),
		prop("initiatedBy", initiator),
		prop("targetResources", func(_ *request, e *directory.Audit) any {
			out := []any{}
			for _, t := range e.Targets {
				out = append(out, auditTarget(t))
			}
			return out
		}),
		prop("additionalDetails", func(_ *request, e *directory.Audit) any {
			if e.UserAgent == "" {
				return []any{}
			}
			return []any{object("key", "User-Agent", "value", e.UserAgent)}
		}).plain(),
		prop("userAgent", func(_ *request, e *directory.Audit) any { return text(e.UserAgent) }).inBeta(),
		null("performedBy").inBeta().plain(),
	)
	// List directoryAudits, "Attributes supported by $filter parameter".
	e.filters = []string{"activityDateTime", "activityDisplayName", "category", "correlationId", "id", "initiatedBy/", "loggedByService", "operationType", "result", "resultReason", "targetResources", "targetResources/"}
	return e
}()

func initiator(_ *request, e *directory.Audit) any {
	if e.UserID != "" {
		return object("app", nil, "user", object("id", e.UserID, "displayName", text(e.UserName), "userPrincipalName", text(e.UPN), "ipAddress", text(e.IPAddress), "userType", nil,
			"homeTenantId", nil, "homeTenantName", nil))
	}
	return object("user", nil, "app", object("appId", text(e.ClientID), "displayName", text(e.ClientName), "servicePrincipalId", text(e.Client), "servicePrincipalName", nil))
}

func auditTarget(t directory.AuditTarget) map[string]any {
	changes := []any{}
	for _, c := range t.Modified {
		changes = append(changes, object("displayName", c.Name, "oldValue", text(c.Old), "newValue", text(c.New)))
	}
	return object("id", t.ID, "displayName", text(t.Name), "type", t.Type, "userPrincipalName", text(t.UPN), "groupType", nil, "modifiedProperties", changes)
}

var auditPages = listing{set: "auditLogs/directoryAudits", types: []*entity{auditType}, page: 1000, most: 1000}

// audits gives the log newest first, as far back as the licence keeps it:
// seven days without premium, thirty with it ("How long does Microsoft Entra
// ID store reporting data?").
func (r *request) audits() []item {
	days := 7
	if r.tenant.Premium() {
		days = 30
	}
	oldest := r.now.Add(-time.Duration(days) * 24 * time.Hour)
	var out []item
	for _, e := range slices.Backward(r.tenant.Audits) {
		if !e.Time.Before(oldest) {
			out = append(out, item{auditType, e})
		}
	}
	return out
}

func listAudits(r *request) (*answer, error) { return r.list(auditPages, r.audits()) }

func getAudit(r *request) (*answer, error) {
	for _, it := range r.audits() {
		if strings.EqualFold(r.idOf(it), r.vars[0]) {
			return r.single(auditPages.set, it)
		}
	}
	return nil, refuse(http.StatusNotFound, "itemNotFound", "The log has no entry with this id.")
}
