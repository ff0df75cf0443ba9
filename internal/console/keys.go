package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"gatehouse/internal/audit"
	"gatehouse/internal/operator"
)

// keyList is what the page of API keys shows.
type keyList struct {
	Keys    []operator.Key
	Tenants map[string]string
}

func (c *console) keys(w http.ResponseWriter, r *http.Request, f *frame) error {
	all, err := c.Operators.Keys(r.Context())
	if err != nil {
		return err
	}
	names, _, err := c.tenantNames(r)
	if err != nil {
		return err
	}
	f.Title, f.Noun = "API keys", "developers"
	return show(w, r, http.StatusOK, keysPage(f, keyList{all, names}))
}

// keyForm is what the form for a new key shows.
type keyForm struct {
	Form        *form
	Permissions []option
	Tenants     []option
}

func (c *console) newKeyPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	return c.showNewKey(w, r, f, &form{Values: url.Values{"days": {strconv.Itoa(operator.DefaultKeyDays)}, "permissions": {string(audit.ConnectionView)}}}, http.StatusOK)
}

func (c *console) showNewKey(w http.ResponseWriter, r *http.Request, f *frame, typed *form, status int) error {
	_, tenants, err := c.tenantNames(r)
	if err != nil {
		return err
	}
	v := keyForm{Form: typed, Permissions: permissionWords(operator.KeyPermissions(r.Context())), Tenants: append([]option{{audit.AllTenants, "All that I may reach, also later ones"}}, tenants...)}
	f.Title, f.Noun = "Make an API key", "developers"
	return show(w, r, status, newKeyPage(f, v))
}

func (c *console) newKey(w http.ResponseWriter, r *http.Request, f *frame) error {
	typed, err := typed(w, r)
	if err != nil {
		return err
	}
	days, err := strconv.Atoi(typed.text("days"))
	if err != nil || days == 0 {
		days = -1 // the feature says what is right
	}
	request := operator.KeyRequest{Name: typed.text("name"), Days: days, Tenants: slices.Clone(typed.Values["tenants"])}
	for _, p := range typed.Values["permissions"] {
		request.Permissions = append(request.Permissions, audit.Permission(p))
	}
	made, token, err := c.Operators.AddKey(r.Context(), request)
	if err := typed.refused(err); err != nil {
		return err
	}
	if len(typed.Faults) > 0 {
		return c.showNewKey(w, r, f, typed, http.StatusUnprocessableEntity)
	}
	f.Title, f.Noun = "API key "+made.Name, "developers"
	return show(w, r, http.StatusOK, keyPage(f, made, token.Reveal()))
}

func (c *console) revokeKeyPage(w http.ResponseWriter, r *http.Request, f *frame) error {
	all, err := c.Operators.Keys(r.Context())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(k operator.Key) bool { return k.ID == r.PathValue("id") })
	if i < 0 {
		return errNoPage
	}
	used := "It was never used, as far as is known."
	if all[i].UsedAt != nil {
		used = fmt.Sprintf("It was last used at %s.", exactUTC(*all[i].UsedAt))
	}
	f.Title, f.Noun = "Revoke "+all[i].Name, "developers"
	return show(w, r, http.StatusOK, confirmPage(f, question{
		Of: "API keys", Back: "/keys", Points: []string{"Programs that use it are refused from now on.", used, "This cannot be undone; a new key can be made."},
		Action: "/keys/" + all[i].ID + "/revoke", Button: "Revoke the key", Keep: "Keep it",
	}))
}

func (c *console) revokeKey(w http.ResponseWriter, r *http.Request, _ *frame) error {
	if err := c.Operators.RevokeKey(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return back(w, r, "/keys", "key-revoked")
}

// mayRevoke reports whether the person may end a key.
func mayRevoke(f *frame, k operator.Key) bool {
	return k.OperatorID == f.Session.OperatorID || f.may(audit.AllTenants, audit.OperatorManage)
}

func keyState(f *frame, k operator.Key) state {
	switch {
	case !k.ExpiresAt.After(f.Now):
		return state{bad, "cross", "Expired"}
	case k.ExpiresAt.Before(f.Now.AddDate(0, 0, 7)):
		return state{warn, "warning", "Ends soon"}
	default:
		return state{good, "check", "Good"}
	}
}
