package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/conversion"
	"gatehouse/internal/hosts"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/tenant"
	"gatehouse/internal/validation"
)

// profile is what a connection's page shows of its profile beside the last
// validation.
type profile struct {
	Hosts      *hosts.Found
	Look       *validation.Look
	Conversion *conversion.Conversion
}

func (c *console) profileOf(ctx context.Context, one connection.Connection) (p profile, err error) {
	if p.Hosts, err = c.Hosts.Get(ctx, one.TenantID); err != nil {
		return p, err
	}
	if p.Conversion, err = c.Conversions.Of(ctx, one.ID); err != nil || one.Kind == connection.App {
		return p, err
	}
	p.Look, err = c.Runs.LastLook(ctx, one.ID)
	return p, err
}

// findHosts looks where the tenant's SharePoint is.
func (c *console) findHosts(w http.ResponseWriter, r *http.Request, _ *frame) error {
	one, err := c.Connections.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if _, err := c.Hosts.Find(r.Context(), one.TenantID); err != nil {
		return err
	}
	return back(w, r, "/connections/"+one.ID, "hosts-found")
}

// lookAtOwner looks whether an account is a person's own.
func (c *console) lookAtOwner(w http.ResponseWriter, r *http.Request, f *frame) error {
	_, err := c.Runs.LookAtOwner(r.Context(), r.PathValue("id"))
	var said *microsoft.Error
	switch {
	case errors.Is(err, tenant.ErrNoReader):
		return c.showConnection(w, r, f, &form{Problem: "Whose the account is can only be read with the tenant's reader: set it up on the tenant's page"}, http.StatusConflict)
	case errors.As(err, &said):
		return c.showConnection(w, r, f, &form{Problem: "Microsoft gave no usable answer (" + said.Error() + ")"}, http.StatusBadGateway)
	case err != nil:
		return err
	}
	return back(w, r, "/connections/"+r.PathValue("id"), "owner-looked")
}

// adminCentre is what is shown of the SharePoint admin centre: its address, where
// that came from, and how sure it is.
type adminCentre struct {
	URL, From string
	state
	Reason string
	Others []hosts.Host
	Found  *hosts.Found
	Own    *connection.AdminProbe
}

// adminOf tells the admin centre of a connection; false if it is not for
// SharePoint.
func adminOf(v connectionView) (adminCentre, bool) {
	if !slices.Contains(v.Services, connection.SharePoint) {
		return adminCentre{}, false
	}
	out := adminCentre{Found: v.Profile.Hosts, state: state{none, "question", "Unknown"}}
	switch found := v.Profile.Hosts; {
	case v.AdminURL != "":
		out.URL, out.From, out.Own = v.AdminURL, "entered", v.Admin
		switch {
		case v.Admin == nil:
			out.Reason = "it was entered before addresses were asked whose they are: store the connection again"
		case v.Admin.State == connection.AdminOwn:
			out.state = state{good, "check", "This tenant's"}
		default:
			out.Reason = v.Admin.Reason
		}
	case found == nil:
		out.Reason = "nobody has looked yet"
	case len(found.Hosts) == 0:
		out.Reason = found.Note
	default:
		out.URL, out.From, out.state, out.Reason = found.Hosts[0].AdminURL, fromWords(found.From), hostState(found.Hosts[0]), found.Hosts[0].Reason
		out.Others = found.Hosts[1:]
	}
	return out, true
}

func fromWords(from string) string {
	return map[string]string{
		hosts.FromGraph: "default, as Microsoft Graph names it", hosts.FromRename: "default, to which the name from before the tenant's rename leads",
		hosts.FromInitial: "default, derived from the initial domain",
	}[from]
}

func hostState(h hosts.Host) state {
	switch h.State {
	case hosts.Own:
		return state{good, "check", "This tenant's"}
	case hosts.Foreign:
		return state{bad, "cross", "Another tenant's"}
	case hosts.None:
		return state{bad, "cross", "Not there"}
	}
	return state{none, "question", "Unknown"}
}

// userRole is the account's directory roles as the last validation read them, or
// why they are not known.
func userRole(v connectionView) (roles string, reason string) {
	if v.Run == nil || v.Run.Result == nil {
		return "", "no validation has ended yet"
	}
	for _, p := range v.Run.Probes {
		if p.Name != validation.ProbeAccount {
			continue
		}
		switch names := seen[[]string](p, "roles"); {
		case names != nil && len(names) == 0:
			return "None", ""
		case names != nil:
			return listWords(names, len(names)), ""
		}
		if why := seen[string](p, "roles_unread"); why != "" {
			return "", why
		}
		if p.Reason != nil {
			return "", *p.Reason
		}
	}
	return "", "the validation ended before the account was read"
}

// oldMessage is a message of the validation test that such profiles come from,
// in its sense, with what it offered and the smallest safe change today
// (four-stories §2).
type oldMessage struct{ Sense, Offered, Today string }

var oldMessages = []oldMessage{
	{"The organisation has access policies that block the validation.", "Delete or disable the policies, exclude the account from them, or exclude the product's own addresses.",
		"Convert to an app with a certificate: policies for people do not see it. Until then exclude this one account from the one policy that is named above, and fence it by the addresses the software calls from. Delete or disable no policy."},
	{"Check whether MFA is enabled for the account, or whether an app password was entered.", "With MFA: set the flag and enter an app password, or disable MFA. Without: check the password.",
		"Enter the account's own password, once. An app password is no way any more. If MFA is on, it is message 3."},
	{"The account has MFA enabled.", "For the user: set the flag, or disable it. By Conditional Access: as the first message.",
		"Convert to an app with a certificate. Where the account must stay, it is one rule that demands MFA, named above: take this account out of that rule alone. Security Defaults and Microsoft's own demand for its admin sites exempt nobody."},
}

// messageOf is which of the three messages the old test would have shown; 0 if
// none.
func messageOf(v connectionView) int {
	if v.Kind != connection.ServiceAccount || v.Run == nil || v.Run.Result == nil || v.Run.Result.Diagnosis == nil {
		return 0
	}
	d := v.Run.Result.Diagnosis
	if d.Code != nil && *d.Code == "app_password_retired" {
		return 2
	}
	switch d.Category {
	case "conditional_access_block", "conditional_access_device", "legacy_auth_blocked":
		return 1
	case "bad_credentials":
		return 2
	case "mfa_required", "mfa_enrollment", "reauth_required":
		return 3
	}
	return 0
}

// refusal is why a password may be refused here although it opens the browser.
type refusal struct {
	Codes    []string
	Why, Way string
}

var refusals = []refusal{
	{[]string{"50076", "50079", "50074", "50072"}, "A second factor is demanded. The browser asks for it; a password that software sends cannot answer.", "No password helps. Convert to an app, or take the account out of the one rule that demands MFA."},
	{[]string{"federated_realm_host", "federated"}, "The domain is federated: the browser is led to the organisation's own sign-in service, and that one checks the password.", "Allow its host in the server's configuration, use an account of a domain that Microsoft checks, or convert to an app."},
	{[]string{"50055"}, "The password has expired or is a temporary one. The browser asks for a new one and goes on.", "Sign in with a browser once, set the new password there, and enter it here."},
	{[]string{"50053"}, "Smart lock-out: after wrong passwords, from wherever, Microsoft refuses sign-ins from places that it does not know, and lets familiar ones through.", "Wait until it ends, a minute at first, longer each time. Find what still sends an old password. Then validate once."},
	{[]string{"53003", "53000", "53001", "530003"}, "A policy looks at the place or the device. The browser's are other than this server's.", "See which condition decides under Which rules see this account."},
	{[]string{"50126"}, "The password arrived otherwise than it was typed: a blank at an end, letters beyond ASCII, a keyboard of another language, or an old copy of it.", "Set a password of plain letters, digits and signs at Microsoft, in a browser, and enter the new one here."},
	{[]string{"65001", "7000218", "700016"}, "It is not the password: the app through which software signs in is not consented to, or not there. The browser uses another app.", "See What helps."},
}

// refusedHere are the reasons, the one that the refusal names first; nil where
// no password was refused.
func refusedHere(v connectionView) (first *refusal, rest []refusal) {
	if v.Kind != connection.ServiceAccount || v.Credential == connection.AppPassword || !v.Parked && (v.Run == nil || v.Run.Result == nil || v.Run.Result.Diagnosis == nil) {
		return nil, nil
	}
	code := v.ParkedReason
	if v.Run != nil && v.Run.Result != nil && v.Run.Result.Diagnosis != nil && v.Run.Result.Diagnosis.Code != nil {
		code += " " + *v.Run.Result.Diagnosis.Code
	}
	for i, r := range refusals {
		if first == nil && slices.ContainsFunc(r.Codes, func(c string) bool { return strings.Contains(code, c) }) {
			first = &refusals[i]
			continue
		}
		rest = append(rest, r)
	}
	return first, rest
}

func ownerState(look *validation.Look) state {
	switch {
	case look == nil:
		return state{none, "question", "Unknown: nobody has looked"}
	case look.Conclusion == validation.OwnerLikely:
		return state{bad, "warning", "Very likely a person's own"}
	case look.Conclusion == validation.OwnerPerhaps:
		return state{warn, "warning", "Perhaps a person's own"}
	case look.Conclusion == validation.OwnerNoSign:
		return state{good, "check", "No sign that it is a person's own"}
	}
	return state{none, "question", "Unknown: too little could be read"}
}

func signState(s validation.Sign) state {
	switch s.Says {
	case "person":
		return state{warn, "warning", "a person's"}
	case "unknown":
		return state{none, "question", "unknown"}
	}
	return state{good, "check", "no sign"}
}

// converting says where a conversion stands, for the connection's page.
func converting(v connectionView) string {
	c := v.Profile.Conversion
	switch {
	case c == nil:
		return ""
	case c.AppID == v.ID && c.State == conversion.Open:
		return "This app is to take over from an older profile."
	case c.AppID == v.ID:
		return "This app took over from an older profile."
	case c.State == conversion.Open:
		return "This profile is being converted to an app. It works until the last step."
	case c.State == conversion.Done:
		return "This profile was converted to an app."
	}
	return ""
}

func limitState(l connection.Limit) state {
	if l.Binds {
		return state{warn, "warning", "Binds here"}
	}
	return state{none, "ring", "Does not bind here"}
}

// roleNeeds is the role that the old form demanded beside what suffices.
func roleNeeds(c connection.Connection) []validation.RoleNeed {
	return validation.RolesNeeded(conversion.ServicePlace(c))
}

// allServices is a profile that reaches everything, for the form on which nothing
// is chosen yet.
func allServices() connection.Connection {
	return connection.Connection{Services: []string{connection.Graph, connection.SharePoint, connection.Exchange, connection.BusinessCentral}, AdminURL: "x"}
}

func mayConvert(f *frame, v connectionView) bool {
	return v.Kind == connection.ServiceAccount && f.may(v.TenantID, audit.ConnectionManage)
}
