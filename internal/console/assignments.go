package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/operator"
	"gatehouse/internal/tenant"
)

// assignmentList is what the page of the directory's people and groups shows.
type assignmentList struct {
	All         []operator.Assignment
	Tenants     map[string]string // names by id
	Directories map[string]string // names by directory
	On          bool              // single sign-on is configured
}

func (c *console) assignments(w http.ResponseWriter, r *http.Request, f *frame) error {
	if !f.anywhere(audit.OperatorView) {
		return c.Audit.Allow(r.Context(), audit.AllTenants, audit.OperatorView)
	}
	all, err := c.Operators.Assignments(r.Context())
	if err != nil {
		return err
	}
	names, _, err := c.tenantNames(r)
	if err != nil {
		return err
	}
	directories, err := c.directoryNames(r)
	if err != nil {
		return err
	}
	_, _, on := c.Operators.SignOn()
	f.Title, f.Noun = "People and groups of the directory", "operators"
	return show(w, r, http.StatusOK, assignmentsPage(f, assignmentList{all, names, directories, on}))
}

// directoryNames are what to call directories: a tenant that is looked after has a
// name.
func (c *console) directoryNames(r *http.Request) (map[string]string, error) {
	names := map[string]string{}
	tenants, _, err := c.Tenants.List(r.Context(), tenant.Filter{}, tenant.Page{Limit: 200})
	for _, t := range tenants {
		names[t.DirectoryID] = t.Name
	}
	return names, err
}

// assigning is what the form for an assignment shows.
type assigning struct {
	Form        *form
	Directories []option
	Tenants     []option
	Searchable  bool   // people and groups can be looked up
	Why         string // why not
	Searched    bool
	Found       []tenant.DirectoryObject
	Entra       bool
}

func (c *console) assignPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	values := r.URL.Query()
	if values.Get("role") == "" {
		values.Set("role", audit.Viewer.String())
	}
	return c.showAssign(w, r, f, &form{Values: values}, http.StatusOK)
}

func (c *console) showAssign(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	if !f.anywhere(audit.OperatorManage) {
		return c.Audit.Allow(r.Context(), audit.AllTenants, audit.OperatorManage)
	}
	_, directories, on := c.Operators.SignOn()
	if !on {
		return to(w, r, "/operators/directory")
	}
	_, tenants, err := c.tenantNames(r)
	if err != nil {
		return err
	}
	names, err := c.directoryNames(r)
	if err != nil {
		return err
	}
	if !slices.Contains(directories, typed.Get("directory")) {
		typed.Set("directory", directories[0])
	}
	v := assigning{Form: typed, Tenants: manageable(f, tenants), Searched: typed.text("search") != "", Entra: c.Operators.EntraDirectory(typed.Get("directory"))}
	for _, d := range directories {
		words := names[d]
		if words == "" {
			words = d
		}
		v.Directories = append(v.Directories, option{d, words})
	}
	if err := c.searchDirectory(r, &v); err != nil {
		return err
	}
	f.Title, f.Noun = "Assign a role", "operators"
	return show(w, r, status, assignPage(f, v))
}

// searchDirectory looks a name up in the directory, if Gatehouse may read it.
func (c *console) searchDirectory(r *http.Request, v *assigning) error {
	if !v.Entra {
		v.Why = "This directory cannot be searched from here: write the name of the group, or the subject of the person, as the issuer does."
		return nil
	}
	text := v.Form.text("search")
	if text == "" {
		text = "  " // finds out whether there is a reader, and asks nobody
	}
	found, err := c.Tenants.FindInDirectory(r.Context(), v.Form.Get("directory"), text)
	refused, isRefused := errors.AsType[*audit.Refused](err)
	theirs, isTheirs := errors.AsType[*microsoft.Error](err)
	var faults tenant.Faults
	switch {
	case err == nil:
		v.Searchable, v.Found = true, found
	case errors.Is(err, tenant.ErrNoReader):
		v.Why = "This directory cannot be searched: it is no tenant with a working reader here. Copy the object id from the Microsoft Entra admin centre, or add the tenant and let it be read."
	case isRefused && (refused.Hidden || !refused.Nobody):
		v.Why = "You do not manage operators in this directory's own tenant, so that you cannot search it. Copy the object id from the Microsoft Entra admin centre."
	case isTheirs:
		v.Searchable, v.Why = true, "Microsoft gave no usable answer ("+theirs.Error()+"). Try again, or copy the object id from the Microsoft Entra admin centre."
	case errors.As(err, &faults):
		v.Searchable = true
		if v.Searched {
			v.Why = sentence("Write the first letters of the name, at least two")
		}
	default:
		return err
	}
	return nil
}

func (c *console) assign(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	a := operator.Assignment{Directory: typed.Get("directory"), Kind: typed.Get("kind"), ObjectID: typed.text("object_id"), Name: typed.text("name"), TenantID: typed.Get("tenant")}
	if chosen := strings.SplitN(typed.Get("chosen"), "/", 3); len(chosen) == 3 { // of those that were found
		a.Kind, a.ObjectID, a.Name = chosen[0], chosen[1], chosen[2]
	}
	role, err := audit.ParseRole(typed.Get("role"))
	if err != nil {
		typed.Faults.Add("role", "is none", "choose one of the four")
		return c.showAssign(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	if _, err = c.Operators.Assign(r.Context(), a, role); errors.Is(err, operator.ErrAssigned) {
		typed.Problem, err = operator.ErrAssigned.Error(), nil
	}
	if err := typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 || typed.Problem != "" {
		return c.showAssign(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/operators/directory", "assigned")
}

func (c *console) unassignPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	a, err := c.Operators.FindAssignment(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Take the role from "+a.Name, "operators"
	return show(w, r, http.StatusOK, confirmPage(f, question{
		Of: "People and groups", Back: "/operators/directory", Points: []string{
			"Whoever has the role through this assignment loses it at once, in open sessions and API keys too.",
			"Roles that they have otherwise stay.",
			"You can assign it again; it counts from their next sign-in on.",
		},
		Action: "/operators/directory/" + url.PathEscape(a.ID) + "/remove", Button: "Take the role away", Keep: "Keep it",
	}))
}

func (c *console) unassign(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Operators.Unassign(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/operators/directory", "unassigned")
}

// localSignIn is what the page about signing in with a password shows.
type localSignIn struct {
	Form      *form
	Operators []*operator.Operator // who have a password
	On        bool                 // there is another way in
}

func (c *console) localPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed := &form{Values: url.Values{}}
	closed, err := c.Operators.Limited(r.Context())
	if err != nil {
		return err
	}
	if closed {
		typed.Set("only", "yes")
	}
	return c.showLocal(w, r, f, typed, http.StatusOK)
}

func (c *console) showLocal(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	if err := c.Audit.Allow(r.Context(), audit.AllTenants, audit.OperatorManage); err != nil {
		return err
	}
	all, err := c.Operators.List(r.Context())
	if err != nil {
		return err
	}
	v := localSignIn{Form: typed}
	for _, o := range all {
		if o.PasswordHash == "" {
			continue
		}
		v.Operators = append(v.Operators, o)
		if o.BreakGlass && status == http.StatusOK {
			typed.Add("break_glass", o.ID)
		}
	}
	_, _, v.On = c.Operators.SignOn()
	f.Title, f.Noun = "Sign-in with a password", "operators"
	return show(w, r, status, localPage(f, v))
}

func (c *console) limitLocal(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	if err := typed.refused(c.Operators.LimitLocal(r.Context(), typed.Get("only") == "yes", typed.Values["break_glass"])); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showLocal(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return back(w, r, "/operators/local", "local-limited")
}
