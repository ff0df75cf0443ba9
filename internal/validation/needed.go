package validation

// meets reports whether a row of needs.yaml counts for the place.
func (p Place) meets(when string) bool { return when == "" || when == "admin_url" && p.AdminURL != "" }

// Need is what one task of a service asks of an identity.
type Need struct {
	Service     string
	Task        string
	Least       string   // the least permission that suffices; "" where any will do
	Beside      string   // what it needs beside it
	Roles       []string // directory roles, of which one stands beside it
	Others      []string // other permissions that open the task
	Application bool     // an application permission; otherwise a delegated one
	Source      string   // the public page that names it
}

// Needed is what services ask of an app or a service account, the least that
// suffices for each task.
func Needed(app bool, p Place) []Need {
	var out []Need
	for _, service := range p.services() {
		for _, d := range known().of(service, app, p) {
			n := Need{Service: service, Task: d.Task, Application: app, Source: d.Source}
			if len(d.OneOf) > 0 {
				least := d.OneOf[0]
				n.Least, n.Beside, n.Roles, n.Others = least.Name, least.Beside, least.Roles, d.names()[1:]
			}
			out = append(out, n)
		}
	}
	return out
}

// RoleNeed is what a service asks of an account, beside the role that the old
// form demanded.
type RoleNeed struct {
	Service  string
	Demanded string // by the old form, with the MFA flag
	Suffices string
	Beside   string
	Source   string
}

// demanded is what the old form asked of every account whose organisation uses
// MFA (four-stories §2).
const demanded = "Global Administrator or SharePoint Administrator"

// RolesNeeded holds the role that the old form demanded against what each chosen
// service asks of an account.
func RolesNeeded(p Place) []RoleNeed {
	var out []RoleNeed
	for _, service := range p.services() {
		for _, a := range known().AccountRoles {
			if a.Service == service && p.meets(a.When) {
				out = append(out, RoleNeed{service, demanded, a.Suffices, a.Beside, a.Source})
			}
		}
	}
	return out
}
