package graphsim

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// roleMembers are the members that everything of Privileged Identity
// Management has: who, which role, where.
func roleMembers[T any](principal, role func(T) string) members {
	return slices.Concat(
		prop("principalId", func(_ *request, v T) any { return principal(v) }),
		prop("roleDefinitionId", func(_ *request, v T) any { return role(v) }),
		constant("/", "directoryScopeId"), null("appScopeId"))
}

func eligibleMembers() members {
	return slices.Concat(prop("id", func(_ *request, e *directory.Eligibility) any { return e.ID }),
		roleMembers(func(e *directory.Eligibility) string { return e.Principal }, func(e *directory.Eligibility) string { return e.Role }))
}

// scheduleInfo: requestSchedule.
func scheduleInfo(start, end time.Time) map[string]any {
	kind := "afterDateTime"
	if end.IsZero() {
		kind = "noExpiration"
	}
	return object("startDateTime", when(start), "recurrence", nil, "expiration", object("type", kind, "endDateTime", when(end), "duration", nil))
}

var (
	// eligibilityType: resource type unifiedRoleEligibilityScheduleInstance.
	eligibilityType = newEntity("unifiedRoleEligibilityScheduleInstance", eligibleMembers(),
		prop("startDateTime", func(_ *request, e *directory.Eligibility) any { return when(e.Start) }),
		prop("endDateTime", func(_ *request, e *directory.Eligibility) any { return when(e.End) }),
		constant("Direct", "memberType"),
		prop("roleEligibilityScheduleId", func(_ *request, e *directory.Eligibility) any { return e.ID }))

	// eligibilityScheduleType: resource type unifiedRoleEligibilitySchedule.
	eligibilityScheduleType = newEntity("unifiedRoleEligibilitySchedule", eligibleMembers(),
		prop("createdUsing", func(_ *request, e *directory.Eligibility) any { return e.ID }),
		prop("createdDateTime", func(_ *request, e *directory.Eligibility) any { return when(e.Created) }),
		prop("modifiedDateTime", func(_ *request, e *directory.Eligibility) any { return when(e.Created) }),
		constant("Provisioned", "status"), constant("Direct", "memberType"),
		prop("scheduleInfo", func(_ *request, e *directory.Eligibility) any { return scheduleInfo(e.Start, e.End) }))

	// eligibilityRequestType: resource type unifiedRoleEligibilityScheduleRequest.
	eligibilityRequestType = newEntity("unifiedRoleEligibilityScheduleRequest", eligibleMembers(),
		constant("Provisioned", "status"),
		prop("createdDateTime", func(_ *request, e *directory.Eligibility) any { return when(e.Created) }),
		prop("completedDateTime", func(_ *request, e *directory.Eligibility) any { return when(e.Created) }),
		null("approvalId", "customData"), constant("adminAssign", "action"), constant(false, "isValidationOnly"),
		prop("targetScheduleId", func(_ *request, e *directory.Eligibility) any { return e.ID }),
		prop("justification", func(_ *request, e *directory.Eligibility) any { return text(e.Justification) }),
		prop("createdBy", func(r *request, e *directory.Eligibility) any { return identitySet(r, e.By) }),
		prop("scheduleInfo", func(_ *request, e *directory.Eligibility) any { return scheduleInfo(e.Start, e.End) }),
		prop("ticketInfo", func(*request, *directory.Eligibility) any { return object("ticketNumber", nil, "ticketSystem", nil) }).plain())

	// activeType and activeScheduleType: resource types
	// unifiedRoleAssignmentScheduleInstance and unifiedRoleAssignmentSchedule.
	activeType = newEntity("unifiedRoleAssignmentScheduleInstance", activeMembers(),
		prop("startDateTime", func(r *request, _ assignment) any { return when(r.tenant.Created) }), null("endDateTime"),
		prop("roleAssignmentOriginId", roleAssignmentID), prop("roleAssignmentScheduleId", roleAssignmentID))
	activeScheduleType = newEntity("unifiedRoleAssignmentSchedule", activeMembers(),
		null("createdUsing"), prop("createdDateTime", func(r *request, _ assignment) any { return when(r.tenant.Created) }), null("modifiedDateTime"),
		constant("Provisioned", "status"),
		prop("scheduleInfo", func(r *request, _ assignment) any { return scheduleInfo(r.tenant.Created, time.Time{}) }))
)

func activeMembers() members {
	return slices.Concat(prop("id", roleAssignmentID), roleMembers(func(a assignment) string { return a.id }, func(a assignment) string { return a.role.ID }),
		constant("Assigned", "assignmentType"), constant("Direct", "memberType"))
}

// schedules is one of the collections of Privileged Identity Management.
type schedules struct {
	set string
	typ *entity
	all func(*request) []item
	who func(any) string
}

func eligibleWho(v any) string { return v.(*directory.Eligibility).Principal }
func activeWho(v any) string   { return v.(assignment).id }

// eligible gives the tenant's eligibilities; now: only those that hold.
func eligible(typ *entity, now bool) func(*request) []item {
	return func(r *request) []item {
		var out []item
		for _, e := range r.tenant.Eligible {
			over := !e.End.IsZero() && !r.now.Before(e.End)
			if !over && (!now || !r.now.Before(e.Start)) {
				out = append(out, item{typ, e})
			}
		}
		return out
	}
}

func active(typ *entity) func(*request) []item {
	return func(r *request) []item { return items(typ, r.assignments()) }
}

var allSchedules = []schedules{
	{"roleEligibilityScheduleInstances", eligibilityType, eligible(eligibilityType, true), eligibleWho},
	{"roleEligibilitySchedules", eligibilityScheduleType, eligible(eligibilityScheduleType, false), eligibleWho},
	{"roleEligibilityScheduleRequests", eligibilityRequestType, eligible(eligibilityRequestType, false), eligibleWho},
	{"roleAssignmentScheduleInstances", activeType, active(activeType), activeWho},
	{"roleAssignmentSchedules", activeScheduleType, active(activeScheduleType), activeWho},
}

const roleManagementSet = "roleManagement/directory/"

func (s schedules) list(r *request) (*answer, error) {
	return r.list(listing{set: roleManagementSet + s.set, types: []*entity{s.typ}, page: 100, most: 999}, s.all(r))
}

func (s schedules) get(r *request) (*answer, error) {
	for _, it := range s.all(r) {
		if r.idOf(it) == r.vars[0] {
			return r.single(roleManagementSet+s.set, it)
		}
	}
	return nil, notFound(r.vars[0])
}

// mine: filterByCurrentUser(on='principal').
func (s schedules) mine(r *request) (*answer, error) {
	on, _ := alternate(r.vars[0], "on")
	if !strings.EqualFold(on, "principal") {
		return nil, badRequest("filterByCurrentUser takes on='principal' here.")
	}
	all := slices.DeleteFunc(s.all(r), func(it item) bool { return s.who(it.value) != r.claims.ObjectID })
	return r.list(listing{set: roleManagementSet + s.set, types: []*entity{s.typ}, page: 100, most: 999}, all)
}

var lengthPattern = regexp.MustCompile(`^P(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,5})M)?)?$`)

// length reads a duration of ISO 8601 in days, hours and minutes.
func length(s string) (time.Duration, bool) {
	parts := lengthPattern.FindStringSubmatch(s)
	if parts == nil {
		return 0, false
	}
	var out time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		n, _ := strconv.Atoi(parts[i+1]) // digits or nothing
		out += time.Duration(n) * unit
	}
	return out, out > 0
}

// eligibilityBody is what a request for eligibility carries.
type eligibilityBody struct {
	action, principal, role, scope, why string
	schedule                            struct {
		Start      *time.Time `json:"startDateTime"`
		Recurrence any        `json:"recurrence"`
		Expiration struct {
			Type     string     `json:"type"`
			End      *time.Time `json:"endDateTime"`
			Duration *string    `json:"duration"`
		} `json:"expiration"`
	}
}

// end gives when the eligibility ends, zero for never.
func (b *eligibilityBody) end(start time.Time) (time.Time, error) {
	x := b.schedule.Expiration
	switch {
	case x.Type == "afterDateTime" && x.End != nil && x.End.After(start):
		return x.End.UTC(), nil
	case x.Type == "afterDuration" && x.Duration != nil:
		if d, ok := length(*x.Duration); ok {
			return start.Add(d), nil
		}
	case x.Type == "noExpiration" || x.Type == "":
		return time.Time{}, nil
	}
	return time.Time{}, badBody("scheduleInfo/expiration must be noExpiration, afterDateTime with endDateTime after the start, or afterDuration with a duration such as P180D.")
}

// requestEligibility: POST roleEligibilityScheduleRequests. Administrators
// assign and remove; what people ask for themselves is not simulated.
func requestEligibility(r *request) (*answer, error) {
	var b eligibilityBody
	var validation, ticket, app, target any
	if _, err := r.decode(map[string]any{"action": &b.action, "principalId": &b.principal, "roleDefinitionId": &b.role, "directoryScopeId": &b.scope, "justification": &b.why,
		"scheduleInfo": &b.schedule, "isValidationOnly": &validation, "ticketInfo": &ticket, "appScopeId": &app, "targetScheduleId": &target}); err != nil {
		return nil, err
	}
	it, found := r.object(b.principal)
	i := slices.IndexFunc(directory.Roles, func(role directory.Role) bool { return strings.EqualFold(role.ID, b.role) })
	switch {
	case i < 0:
		return nil, refuse(http.StatusNotFound, "RoleDefinitionNotFound", "roleDefinitionId names no role definition.")
	case !found:
		return nil, refuse(http.StatusNotFound, "SubjectNotFound", "principalId names no user, group or service principal.")
	case b.scope != "/":
		return nil, badBody("directoryScopeId must be '/': the lab's roles hold for the whole tenant.")
	case len(b.why) > 1024:
		return nil, badBody("justification may have 1024 characters at most.")
	}
	e := &directory.Eligibility{ID: r.newID("eligibility", b.principal, b.role), Principal: r.idOf(it), Role: directory.Roles[i].ID, Created: r.now, Start: r.now, Justification: b.why}
	if !r.app() {
		e.By = r.claims.ObjectID
	}
	same := slices.IndexFunc(r.tenant.Eligible, func(o *directory.Eligibility) bool {
		return o.Principal == e.Principal && o.Role == e.Role && (o.End.IsZero() || r.now.Before(o.End))
	})
	switch b.action {
	case "adminAssign":
		if b.schedule.Start != nil && b.schedule.Start.After(r.now) {
			e.Start = b.schedule.Start.UTC()
		}
		var err error
		if e.End, err = b.end(e.Start); err != nil {
			return nil, err
		}
		if same >= 0 {
			return nil, refuse(http.StatusBadRequest, "RoleAssignmentExists", "The principal is eligible for this role already.")
		}
		r.adds(core("Add eligible member to role in PIM completed (permanent)", roleManagement), item{eligibilityRequestType, e})
		r.tenant.Eligible = append(slices.Clone(r.tenant.Eligible), e)
		return r.created(roleManagementSet+"roleEligibilityScheduleRequests", item{eligibilityRequestType, e})
	case "adminRemove":
		if same < 0 {
			return nil, refuse(http.StatusNotFound, "RoleAssignmentDoesNotExist", "The principal is not eligible for this role.")
		}
		r.deletes(core("Remove eligible member from role in PIM completed (permanent)", roleManagement), item{eligibilityRequestType, r.tenant.Eligible[same]})
		r.tenant.Eligible = slices.Delete(slices.Clone(r.tenant.Eligible), same, same+1)
		a, err := r.created(roleManagementSet+"roleEligibilityScheduleRequests", item{eligibilityRequestType, e})
		if err == nil {
			body := a.body.(map[string]any)
			body["status"], body["action"], body["targetScheduleId"] = "Revoked", "adminRemove", nil
		}
		return a, err
	}
	return nil, badBody("action is '%s'; the lab takes adminAssign and adminRemove.", clip(b.action))
}

// roleTemplateType: resource type directoryRoleTemplate.
var roleTemplateType = newEntity("directoryRoleTemplate",
	prop("id", func(_ *request, role directory.Role) any { return role.ID }),
	null("deletedDateTime"),
	prop("description", func(_ *request, role directory.Role) any { return "Holders act as " + role.Name + "." }),
	prop("displayName", func(_ *request, role directory.Role) any { return role.Name }),
)

func listRoleTemplates(r *request) (*answer, error) {
	return r.list(listing{set: "directoryRoleTemplates", types: []*entity{roleTemplateType}}, items(roleTemplateType, directory.Roles))
}

func getRoleTemplate(r *request) (*answer, error) {
	for _, it := range items(roleTemplateType, directory.Roles) {
		if strings.EqualFold(r.idOf(it), r.vars[0]) {
			return r.single("directoryRoleTemplates", it)
		}
	}
	return nil, notFound(r.vars[0])
}

// rowsOfEligibility are Privileged Identity Management (Entra ID P2) and the
// role templates.
func rowsOfEligibility() {
	const get, post = http.MethodGet, http.MethodPost
	readers := []string{globalReader, securityReader, securityAdministrator, privilegedRoleAdministrator}
	for _, s := range allSchedules {
		kind := "RoleEligibilitySchedule"
		if strings.HasPrefix(s.set, "roleAssignment") {
			kind = "RoleAssignmentSchedule"
		}
		read := alike(kind+".Read.Directory", kind+".ReadWrite.Directory", "RoleManagement.Read.All", "RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory").by(readers...)
		mine := read
		mine.roles, mine.app = nil, nil
		row(get, roleManagementSet+s.set, read, s.list, "PIM")
		row(get, roleManagementSet+s.set+"/filterByCurrentUser/{on}", mine, s.mine, "PIM")
		row(get, roleManagementSet+s.set+"/{id}", read, s.get, "PIM")
	}
	write := alike("RoleEligibilitySchedule.ReadWrite.Directory", "RoleManagement.ReadWrite.Directory").by(privilegedRoleAdministrator)
	row(post, roleManagementSet+"roleEligibilityScheduleRequests", write, requestEligibility, "PIM", "writes")
	row(get, "directoryRoleTemplates", rolesRead, listRoleTemplates)
	row(get, "directoryRoleTemplates/{id}", rolesRead, getRoleTemplate)
}
