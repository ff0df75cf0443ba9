package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sso"
)

// SSOCallback is the path that the issuer sends browsers back to.
const SSOCallback = "/sign-in/sso/callback"

// flowCookie ties a sign-in at the issuer to the browser that began it. It comes
// along when the issuer's page sends the browser back (SameSite=Lax).
func (c *console) flowCookie(token secrets.Value) *http.Cookie {
	cookie := &http.Cookie{Name: c.cookieName() + "-sso", Value: token.Reveal(), Path: "/", HttpOnly: true, Secure: c.secure(), SameSite: http.SameSiteLaxMode, MaxAge: 600} //nolint:gosec // Secure wherever the console is reached by https
	if token.Empty() {
		cookie.MaxAge = -1
	}
	return cookie
}

func (c *console) beginSSO(w http.ResponseWriter, r *http.Request, _ *frame) error {
	address, token, err := c.Operators.BeginSSO(r.Context(), nil, inside(r.URL.Query().Get("next")), visit(r))
	if err != nil {
		return err
	}
	http.SetCookie(w, c.flowCookie(token))
	http.Redirect(w, r, address, http.StatusSeeOther) //nolint:gosec // the issuer's, which the configuration names
	return nil
}

func (c *console) finishSSO(w http.ResponseWriter, r *http.Request, f *frame) error {
	q := r.URL.Query()
	cookie, err := r.Cookie(c.flowCookie(secrets.Value{}).Name)
	token := secrets.Value{}
	if err == nil {
		token = secrets.New(cookie.Value)
	}
	http.SetCookie(w, c.flowCookie(secrets.Value{}))
	answer := sso.Answer{Code: q.Get("code"), State: q.Get("state"), Issuer: q.Get("iss"), Error: q.Get("error"), Description: q.Get("error_description")}
	issued, next, err := c.Operators.FinishSSO(r.Context(), token, answer, visit(r))
	if err != nil {
		// The address holds the code: a page that is shown in its place must not
		// come back with it.
		f.Here = "/sign-in"
		return err
	}
	if issued.Session == nil {
		return back(w, r, "/settings", "linked")
	}
	c.remember(w, issued)
	return to(w, r, inside(next))
}

// linking is the page before somebody goes to the issuer to link their account.
type linking struct{ Name, Address string }

// linkSSO begins to link the directory account of the person. It is a form of its
// own, which no other site can send; the policy of our pages keeps forms from
// leading elsewhere, so that the way on is a link.
func (c *console) linkSSO(w http.ResponseWriter, r *http.Request, f *frame) error {
	name, _, ok := c.Operators.SignOn()
	if !ok {
		return errNoPage
	}
	address, token, err := c.Operators.BeginSSO(r.Context(), f.Session, "/settings", visit(r))
	if err != nil {
		return err
	}
	http.SetCookie(w, c.flowCookie(token))
	f.Title, f.Noun = "Link your directory account", "settings"
	return show(w, r, http.StatusOK, linkAccountPage(f, linking{name, address}))
}

// failedSSO gives the page for a sign-in through the directory that was refused.
func (c *console) failedSSO(r *http.Request, refusal *sso.Refusal) trouble {
	c.Log.WarnContext(r.Context(), "a sign-in through the directory was refused", "reason", string(refusal.Reason), "detail", refusal.Detail, "error", refusal.Err)
	t, known := refusedSignOns[refusal.Reason]
	if !known {
		return explainTrouble(refusal)
	}
	t.Words = strings.ReplaceAll(t.Words, "{who}", whoWords(refusal.Who))
	if strings.Contains(t.Words, "{whom}") {
		t.Words = strings.ReplaceAll(t.Words, "{whom}", whomWords(c.Operators.Whom(r.Context())))
	}
	return t
}

func whoWords(p sso.Person) string {
	if p.Username == "" {
		return p.Subject
	}
	return fmt.Sprintf("%s (object id %s)", p.Username, p.Subject)
}

func whomWords(names []string) string {
	if len(names) == 0 {
		return "an administrator of Gatehouse"
	}
	return "an administrator of Gatehouse (" + strings.Join(names, ", ") + ")"
}

const (
	entrance   = "/sign-in"
	byPassword = "/sign-in?local=1"
)

// refusedSignOns is what each refusal says to the person: what happened, who acts,
// what to do.
var refusedSignOns = map[sso.Reason]trouble{
	sso.Unreachable: {http.StatusBadGateway, "The directory does not answer", "Nobody can sign in through it just now; nothing is wrong with your account. Try again in a few minutes. Whoever runs this server finds the cause in its log. Accounts for emergencies sign in with their password.", "Sign in with a password", byPassword},
	sso.Declined:    {http.StatusForbidden, "The directory did not let you in", "The sign-in was cancelled there, or a rule of your organisation refused it. The directory's own page has said why; its administrator can help.", "Try again", entrance},
	sso.State:       {http.StatusBadRequest, "This is not the sign-in that this browser began", "Perhaps it was begun in another window, or a link from somewhere else led here. Nothing was done. Begin again from here.", "Sign in", entrance},
	sso.Replayed:    {http.StatusBadRequest, "This sign-in was used already", "The answer of the directory is good once. Going back or reloading brings it a second time. Begin again from here.", "Sign in", entrance},
	sso.Lapsed:      {http.StatusBadRequest, "This sign-in took too long", "It was begun more than ten minutes ago. Begin again from here.", "Sign in", entrance},
	sso.MixUp:       {http.StatusBadRequest, "The answer came from another directory", "It names another issuer than the one that you were sent to, as an attack would. You were not signed in. Tell whoever runs this server if it happens again.", "Sign in", entrance},
	sso.Code:        {http.StatusForbidden, "The directory does not take back its own answer", "The code that it sent was used already, is too old, or belongs to somebody else; or the client secret of Gatehouse is wrong or has expired (oidc.client_secret), which whoever runs this server finds in its log.", "Try again", entrance},
	sso.Algorithm:   {http.StatusForbidden, "The directory's answer is not signed as it has to be", "It has no signature, or one that anybody could make. You were not signed in. Tell whoever runs this server: oidc.issuer leads to something that is not safe.", "Go to sign-in", entrance},
	sso.Signature:   {http.StatusForbidden, "The directory's signature is wrong", "The answer was not signed with a key of the directory. You were not signed in. Tell whoever runs this server if it happens again.", "Try again", entrance},
	sso.Malformed:   {http.StatusForbidden, "The directory's answer cannot be read", "It is no id token as the standard has it. Whoever runs this server finds the cause in its log.", "Go to sign-in", entrance},
	sso.Issuer:      {http.StatusForbidden, "The answer was made by another directory", "It names another issuer than the configured one (oidc.issuer). You were not signed in. Whoever runs this server finds both names in its log.", "Go to sign-in", entrance},
	sso.Tenant:      {http.StatusForbidden, "Your organisation may not sign in here", "You signed in with an account of another organisation. Use an account of one that Gatehouse is set up for; whoever runs this server can add yours (oidc.tenants).", "Sign in with another account", entrance},
	sso.Audience:    {http.StatusForbidden, "The answer was meant for another app", "It is for another client id than that of Gatehouse (oidc.client_id). You were not signed in. Tell whoever runs this server.", "Go to sign-in", entrance},
	sso.Nonce:       {http.StatusForbidden, "The answer belongs to another sign-in", "It does not carry the mark that this sign-in was begun with. You were not signed in. Begin again from here.", "Sign in", entrance},
	sso.Expired:     {http.StatusForbidden, "The directory's answer has expired", "It was too old when it came. If this happens again, this server's clock is fast, or the directory's slow: whoever runs the server can compare them (gatehouse doctor).", "Try again", entrance},
	sso.NotYet:      {http.StatusForbidden, "The directory's answer is not valid yet", "It is of the future by this server's clock. Whoever runs the server has to set the clock right (gatehouse doctor).", "Try again", entrance},
	sso.Groups:      {http.StatusForbidden, "Your groups could not be read", "You are {who}. You are in more groups than fit into the directory's answer, and Microsoft Graph did not tell them, so that nobody knows what you may do here. Nothing is given in part. Ask {whom}: the app registration needs the delegated permission User.Read, with consent.", "Try again", entrance},
	sso.NoAccess:    {http.StatusForbidden, "You have no role here yet", "The directory knows you as {who}, but neither you nor a group of yours has a role in Gatehouse. Ask {whom} for one, and tell them this name and id.", "Sign in with another account", entrance},
	sso.Disabled:    {http.StatusForbidden, "Your account here is disabled", "You are {who}. Ask {whom} why; only they can enable it again.", "Go to sign-in", entrance},
	sso.AddressUsed: {http.StatusForbidden, "An account with your address is here already", "You are {who}. An address alone proves nothing, so the two are not joined by themselves. Sign in with the password of that account and link your directory account under Settings; or ask {whom}.", "Sign in with a password", byPassword},
	sso.Linked:      {http.StatusConflict, "This directory account belongs to another operator", "You are {who}. Whoever is linked with it here has to be removed first: ask {whom}.", "Go to settings", "/settings"},
}

// refusedSSO finds such a refusal.
func refusedSSO(err error) (*sso.Refusal, bool) { return errors.AsType[*sso.Refusal](err) }

// signOn is what the sign-in page shows of the directory.
func (c *console) signOn(r *http.Request, form *form) (signOn, error) {
	name, _, ok := c.Operators.SignOn()
	v := signOn{Form: form, Name: name, Href: "/sign-in/sso" + nextQuery(form.Get("next"))}
	if !ok {
		v.Open = true
		return v, nil
	}
	var err error
	v.Limited, err = c.Operators.Limited(r.Context())
	v.Open = form.Problem != "" || r.URL.Query().Has("local")
	return v, err
}

// signOn is a way in: through the directory, which comes first if there is one, or
// with a password, which is folded away then.
type signOn struct {
	Form       *form
	Name, Href string // Name is "" where there is no directory
	Open       bool   // the local sign-in is unfolded
	Limited    bool   // only accounts for emergencies have it
}

// unlocal words the errors of sessions that were begun through the directory.
func unlocal(err error) (trouble, bool) {
	switch {
	case errors.Is(err, operator.ErrNotLocal):
		return trouble{http.StatusForbidden, "You signed in through the directory", "Password and second factors here are for those who sign in here. To change yours, sign out and in again with your password.", "Go to settings", "/settings"}, true
	case errors.Is(err, operator.ErrLimited):
		return trouble{http.StatusForbidden, "Your account signs in through the directory", "Signing in with a password is limited to a few accounts for emergencies. An administrator of Gatehouse can add yours under Operators.", "Go to sign-in", entrance}, true
	}
	return trouble{}, false
}
