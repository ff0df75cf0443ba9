package audit

import "fmt"

// Role is what an operator is to a tenant, or to all. Each role may do what the
// one before may.
type Role int

// The roles. The zero value is none.
const (
	Viewer Role = iota + 1
	Technician
	Engineer
	Administrator
)

var roleNames = map[Role]string{Viewer: "viewer", Technician: "technician", Engineer: "engineer", Administrator: "administrator"}

// String is the role's name; "none" for the zero value.
func (r Role) String() string {
	if name, ok := roleNames[r]; ok {
		return name
	}
	return "none"
}

// ParseRole reads a role's name.
func ParseRole(name string) (Role, error) {
	for role, known := range roleNames {
		if name == known {
			return role, nil
		}
	}
	return 0, fmt.Errorf("reading a role: %.40q is none of viewer, technician, engineer, administrator", name)
}

// MarshalText gives the role's name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is [ParseRole].
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

// Permission names what an act needs. A route declares one, and the feature
// behind it demands the same on the loaded object's tenant.
type Permission string

// The permissions: what they are about, then what may be done to it.
const (
	Self Permission = "self" // one's own account and sessions: needs no role

	TenantView   Permission = "tenant.view"
	TenantManage Permission = "tenant.manage"
	TenantCreate Permission = "tenant.create"

	ConsentView   Permission = "consent.view"
	ConsentManage Permission = "consent.manage"

	ConnectionView     Permission = "connection.view"
	ConnectionValidate Permission = "connection.validate"
	ConnectionUse      Permission = "connection.use" // to be given a token, or go through the proxy
	ConnectionManage   Permission = "connection.manage"

	CampaignReport Permission = "campaign.report" // to report sign-ins of an app that keeps its own tokens

	PostureView    Permission = "posture.view"
	PostureRefresh Permission = "posture.refresh"

	PlanView    Permission = "plan.view"
	PlanWrite   Permission = "plan.write"
	PlanApprove Permission = "plan.approve"
	PlanApply   Permission = "plan.apply"

	PoolView   Permission = "pool.view"
	PoolManage Permission = "pool.manage"

	VerificationView    Permission = "verification.view"
	VerificationRequest Permission = "verification.request"
	VerificationManage  Permission = "verification.manage"

	DeskView   Permission = "desk.view"
	DeskManage Permission = "desk.manage"

	IncidentView   Permission = "incident.view"
	IncidentManage Permission = "incident.manage"

	NotifyView   Permission = "notify.view"
	NotifyManage Permission = "notify.manage"

	JobView   Permission = "job.view"
	JobManage Permission = "job.manage"

	AuditView   Permission = "audit.view"
	AuditExport Permission = "audit.export" // the whole log, its verification and checkpoints
	AuditErase  Permission = "audit.erase"

	OperatorView   Permission = "operator.view"
	OperatorManage Permission = "operator.manage"

	SettingsView   Permission = "settings.view"
	SettingsManage Permission = "settings.manage"
	KeysRotate     Permission = "keys.rotate"
	BackupMake     Permission = "backup.make"
)

// least is the least role that has a permission. A permission that is missing
// here is had by nobody.
var least = map[Permission]Role{
	Self: 0,

	TenantView:       Viewer,
	ConsentView:      Viewer,
	ConnectionView:   Viewer,
	PostureView:      Viewer,
	PlanView:         Viewer,
	PoolView:         Viewer,
	VerificationView: Viewer,
	DeskView:         Viewer,
	IncidentView:     Viewer,
	NotifyView:       Viewer,
	JobView:          Viewer,

	ConnectionValidate:  Technician,
	PostureRefresh:      Technician,
	VerificationRequest: Technician,
	IncidentManage:      Technician,

	TenantManage:     Engineer,
	ConsentManage:    Engineer,
	ConnectionUse:    Engineer,
	ConnectionManage: Engineer,
	CampaignReport:   Engineer,
	PlanWrite:        Engineer,
	PlanApprove:      Engineer,
	PlanApply:        Engineer,
	PoolManage:       Engineer,
	NotifyManage:     Engineer,
	JobManage:        Engineer,
	AuditView:        Engineer,

	TenantCreate:       Administrator,
	VerificationManage: Administrator,
	DeskManage:         Administrator,
	AuditExport:        Administrator,
	AuditErase:         Administrator,
	OperatorView:       Administrator,
	OperatorManage:     Administrator,
	SettingsView:       Administrator,
	SettingsManage:     Administrator,
	KeysRotate:         Administrator,
	BackupMake:         Administrator,
}

// Least is the least role that has a permission; false for a permission that
// does not exist.
func Least(p Permission) (Role, bool) {
	role, ok := least[p]
	return role, ok
}

// Permissions are all permissions that exist, with the least role of each.
func Permissions() map[Permission]Role {
	all := make(map[Permission]Role, len(least))
	for p, role := range least {
		all[p] = role
	}
	return all
}
