package console

import (
	"context"
	"net/http"
	"net/url"

	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
)

// operatorList is what the page of all operators shows.
type operatorList struct {
	Operators []*operator.Operator
	Tenants   map[string]string // names by id
}

func (c *console) tenantNames(r *http.Request) (map[string]string, []option, error) {
	options, err := c.tenantOptions(r, "")
	names := map[string]string{audit.AllTenants: "all tenants"}
	for _, o := range options {
		names[o.Value] = o.Words
	}
	return names, options, err
}

func (c *console) operators(w http.ResponseWriter, r *http.Request, f *frame) error {
	if !f.anywhere(audit.OperatorView) {
		return c.Audit.Allow(r.Context(), audit.AllTenants, audit.OperatorView)
	}
	all, err := c.Operators.List(r.Context())
	if err != nil {
		return err
	}
	names, _, err := c.tenantNames(r)
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Operators", "operators"
	return show(w, r, http.StatusOK, operatorsPage(f, operatorList{all, names}))
}

// inviting is what the form for a new operator shows.
type inviting struct {
	Form    *form
	Tenants []option
	Limited bool // signing in with a password is for a few
}

func (c *console) invitePage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showInvite(w, r, f, &form{Values: url.Values{"role": {audit.Viewer.String()}}}, http.StatusOK)
}

func (c *console) showInvite(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	_, options, err := c.tenantNames(r)
	if err != nil {
		return err
	}
	closed, err := c.Operators.Limited(r.Context())
	if err != nil {
		return err
	}
	f.Title, f.Noun = "Invite an operator", "operators"
	return show(w, r, status, invitePage(f, inviting{typed, manageable(f, options), closed}))
}

// manageable are the tenants in which the person may give roles.
func manageable(f *frame, tenants []option) []option {
	var out []option
	if f.may(audit.AllTenants, audit.OperatorManage) {
		out = append(out, option{audit.AllTenants, "All tenants"})
	}
	for _, t := range tenants {
		if f.may(t.Value, audit.OperatorManage) {
			out = append(out, t)
		}
	}
	return out
}

func (c *console) invite(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	role, err := audit.ParseRole(typed.Get("role"))
	if err != nil {
		typed.Faults.Add("role", "is none", "choose one of the four")
		return c.showInvite(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	made, token, err := c.Operators.Invite(r.Context(), typed.text("email"), typed.text("name"), map[string]audit.Role{typed.Get("tenant"): role})
	if err := typed.personFault(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showInvite(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	return c.showLink(w, r, f, made, token)
}

// newLink is a set-up link, which is shown once.
type newLink struct {
	*operator.Operator
	Address string
}

func (c *console) showLink(w http.ResponseWriter, r *http.Request, f *frame, of *operator.Operator, token secrets.Value) error {
	if token.Empty() { // mailed
		return back(w, r, "/operators/"+of.ID, "mailed")
	}
	f.Title, f.Noun = "Link for "+of.Name, "operators"
	return show(w, r, http.StatusOK, linkPage(f, newLink{of, c.PublicURL + SetupPath(token)}))
}

// operatorView is what the page of one operator shows.
type operatorView struct {
	*operator.Operator
	Names    map[string]string
	Tenants  []option // in which the person may give roles
	Sessions []operator.Session
	Factors  []operator.Factor
	Whole    bool // the person may manage the account as a whole
}

func (c *console) operator(w http.ResponseWriter, r *http.Request, f *frame) error {
	one, err := c.Operators.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	names, options, err := c.tenantNames(r)
	if err != nil {
		return err
	}
	v := operatorView{Operator: one, Names: names, Tenants: manageable(f, options), Whole: f.may(audit.AllTenants, audit.OperatorManage)}
	if v.Whole {
		if v.Sessions, err = c.Operators.Sessions(r.Context(), one.ID); err != nil {
			return err
		}
		if v.Factors, err = c.Operators.Factors(r.Context(), one.ID); err != nil {
			return err
		}
	}
	f.Title, f.Noun = one.Name, "operators"
	return show(w, r, http.StatusOK, operatorPage(f, v))
}

func (c *console) setRole(w http.ResponseWriter, r *http.Request, _ *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	var role audit.Role
	if typed.Get("role") != "" {
		if role, err = audit.ParseRole(typed.Get("role")); err != nil {
			return errNoForm
		}
	}
	if err := c.Operators.SetRole(r.Context(), r.PathValue("id"), typed.Get("tenant"), role); err != nil {
		return err
	}
	return back(w, r, "/operators/"+r.PathValue("id"), "role")
}

func (c *console) relink(w http.ResponseWriter, r *http.Request, f *frame) error {
	one, err := c.Operators.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	token, err := c.Operators.Relink(r.Context(), one.ID)
	if err != nil {
		return err
	}
	return c.showLink(w, r, f, one, token)
}

func (c *console) operatorAct(w http.ResponseWriter, r *http.Request, _ *frame) error {
	id := r.PathValue("id")
	acts := map[string]struct {
		do         func(context.Context) error
		said, then string
	}{
		"disable":  {func(ctx context.Context) error { return c.Operators.Disable(ctx, id) }, "disabled", "/operators/" + id},
		"enable":   {func(ctx context.Context) error { return c.Operators.Enable(ctx, id) }, "enabled", "/operators/" + id},
		"remove":   {func(ctx context.Context) error { return c.Operators.Remove(ctx, id) }, "operator-gone", "/operators"},
		"sign-out": {func(ctx context.Context) error { return c.Operators.RevokeAll(ctx, id, "") }, "sessions-ended", "/operators/" + id},
	}
	act, known := acts[r.PathValue("act")]
	if !known {
		return errNoPage
	}
	if err := act.do(r.Context()); err != nil {
		return err
	}
	return back(w, r, act.then, act.said)
}

func (c *console) removeOperatorPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.askOperator(w, r, f, "Remove ", question{
		Points: []string{"The account goes, with its roles, second factors and sessions.", "This cannot be undone. A new invitation makes a new account.", "The audit log keeps what was done with it."},
		Button: "Remove the account", Keep: "Keep the account", Action: "/remove",
	})
}

func (c *console) disableOperatorPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.askOperator(w, r, f, "Disable ", question{
		Points: []string{"The account is signed out everywhere at once, and cannot sign in.", "Roles, password and second factors stay: enable it again on the same page.", "What it has started goes on."},
		Button: "Disable the account", Keep: "Leave it enabled", Action: "/disable",
	})
}

// askOperator asks before something is done to an operator, whom may manage the
// account as a whole.
func (c *console) askOperator(w http.ResponseWriter, r *http.Request, f *frame, verb string, q question) error {
	one, err := c.Operators.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := c.Audit.Allow(r.Context(), audit.AllTenants, audit.OperatorManage); err != nil {
		return err
	}
	f.Title, f.Noun = verb+one.Name, "operators"
	q.Of, q.Back = one.Name, "/operators/"+one.ID
	q.Action = q.Back + q.Action
	return show(w, r, http.StatusOK, confirmPage(f, q))
}

// roles are the four roles with what each may do.
var roles = []struct {
	Role  audit.Role
	Words string
}{
	{audit.Viewer, "sees tenants, connections and answers"},
	{audit.Technician, "also validates and verifies people"},
	{audit.Engineer, "also manages connections and plans"},
	{audit.Administrator, "also manages tenants and operators"},
}

func roleOptions(without bool) []option {
	var out []option
	if without {
		out = append(out, option{"", "None"})
	}
	for _, r := range roles {
		out = append(out, option{r.Role.String(), sentenceCase(r.Role.String()) + ": " + r.Words})
	}
	return out
}

// removeWords are on the button that removes an operator.
func removeWords(o *operator.Operator) string {
	if o.PasswordHash == "" && o.InvitedUntil != nil {
		return "Withdraw the invitation"
	}
	return "Remove"
}

// roleWords are the roles that an operator was given by name, in lines.
func roleWords(o *operator.Operator, names map[string]string) []string {
	var out []string
	for _, tenant := range sortedKeys(o.Own) {
		name := names[tenant]
		if name == "" {
			name = tenant
		}
		out = append(out, sentenceCase(o.Own[tenant].String())+" in "+name)
	}
	return out
}
