package validation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/diagnosis"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/posture"
	"gatehouse/internal/secrets"
	"gatehouse/internal/tenant"
)

// noReader is why a part is unknown without reader and snapshot, with the way
// to get it: the command line's, if no other is said.
func (r *Request) noReader() string {
	way := r.WayToReader
	if way == "" {
		way = "give --reader-client-id with a secret or certificate, or --snapshot, to read the tenant's rules"
	}
	return "no reader: " + way
}

// look gets the posture, from the reader if there is one, else from the file,
// and with a reader the name of the app that signs in.
func (r *run) look(ctx context.Context) {
	r.read(ctx)
	if r.snapshot == nil {
		return
	}
	if tenant.GUID(r.facts.Tenant) && r.snapshot.TenantName != "" {
		r.facts.Tenant = r.snapshot.TenantName
	}
	if a, ok := r.snapshot.App(r.ClientID); ok && r.facts.ClientName == "" {
		r.facts.ClientName = a.Name
	}
}

func (r *run) read(ctx context.Context) {
	r.snapshot = r.Snapshot
	if r.Reader == nil {
		return
	}
	var err error
	r.reader, err = r.Shared.reader(ctx, func(ctx context.Context) (*graph.Client, error) {
		token, err := r.authenticate(ctx, r.Reader.ClientID, "", r.Reader.Credential, r.graphScope())
		if err != nil {
			return nil, err
		}
		return r.graph(token.Access)
	})
	if err == nil {
		var fresh *posture.Snapshot
		if fresh, err = r.rules.Load(ctx, r.reader, r.tenant.ID, r.want(ctx)); err == nil {
			r.snapshot = fresh
		}
	}
	if err != nil {
		r.reader, r.readerErr = nil, err
		return
	}
	if r.facts.ClientName == "" {
		r.facts.ClientName = r.Shared.name(r.ClientID, func() string {
			var sp graph.ServicePrincipal
			_ = r.reader.Get(ctx, principalPath(r.ClientID)+"?$select=displayName", &sp) // a name is a nicety
			return sp.DisplayName
		})
	}
}

// want is the identity itself.
func (r *run) want(ctx context.Context) posture.Want {
	if r.facts.AppOnly {
		return posture.Want{Apps: []string{r.ClientID}}
	}
	if r.Username == "" {
		return posture.Want{}
	}
	return posture.Want{Accounts: []string{r.Username}, Report: r.Shared.capable(ctx, r.reader)}
}

// recent is how old rules may be that are to explain an answer: somebody may just
// have changed them, and waits for what this says of it.
const recent = 15 * time.Second

// renew reads the rules again where those that are here are not recent and a rule
// may stand behind a refusal, or a rule should have stopped what went through. Many
// identities of one tenant share a reading. What was read before stays if this one
// fails.
func (r *run) renew(ctx context.Context, stops func() []posture.Finding) {
	if r.reader == nil || r.now().Sub(r.snapshot.TakenAt) < r.Shared.recent() {
		return
	}
	var e *microsoft.Error
	refused := errors.As(r.tokenErr, &e) && posture.MayStandBehind(e.Code)
	if !refused && (r.tokenErr != nil || len(stops()) == 0) {
		return
	}
	if fresh, err := r.rules.Renew(ctx, r.reader, r.tenant.ID, r.want(ctx), r.Shared.recent()); err == nil {
		r.snapshot = fresh
	}
}

func principalPath(clientID string) string {
	return "/v1.0/servicePrincipals(appId='" + graph.PathKey(clientID) + "')"
}

func (r *run) graph(access secrets.Value) (*graph.Client, error) {
	return graph.New(graph.Config{Cloud: r.Cloud, Pace: r.pace, Tenant: r.tenant.ID, Transport: r.transport, Token: func(context.Context) (secrets.Value, error) { return access, nil }})
}

// unseen marks a probe as unknown for want of a snapshot.
func (r *run) unseen(p *Probe) {
	if r.readerErr != nil {
		p.set(NotKnown, "the reader could not read the tenant: %v", r.readerErr)
		facts := diagnosis.Facts{AppOnly: true, ClientName: "The reader", Account: r.Reader.ClientID, Tenant: r.facts.Tenant, TenantID: r.Tenant, Login: r.Cloud.Login}
		d := diagnosis.Of(r.readerErr, facts)
		p.Diagnosis = &d
		return
	}
	p.set(NotKnown, "%s", r.noReader())
}

func (r *run) stamp(p *Probe) {
	p.Evidence["as_of"] = r.snapshot.TakenAt.UTC().Format(time.RFC3339)
	if age := r.now().Sub(r.snapshot.TakenAt); age > time.Minute {
		p.Evidence["age_seconds"] = int(age.Seconds())
	}
}

// account looks at the directory object: with the reader, or with the
// account's own token.
func (r *run) account(ctx context.Context) {
	r.probe(ProbeAccount, func(p *Probe) {
		if r.snapshot != nil {
			r.stamp(p)
			a, ok := r.snapshot.Account(r.Username)
			if !ok {
				reason := r.snapshot.Reason(posture.PartAccount, r.Username)
				if reason == "" {
					reason = "the snapshot does not hold the account; take it with --account " + r.Username
				}
				p.set(NotKnown, "%s", reason)
				return
			}
			r.judgeAccount(p, a)
			return
		}
		if r.tokenErr != nil {
			r.unseen(p)
			p.Evidence["roles_unread"] = r.rolesUnread()
			return
		}
		var me graph.User
		var client *graph.Client
		token, err := r.tokenFor(ctx, ServiceGraph)
		if err == nil {
			client, err = r.graph(token.Access)
		}
		if err == nil {
			err = client.Get(ctx, "/v1.0/me?$select="+graph.UserSelect, &me)
		}
		if err != nil {
			p.set(NotKnown, "%v", err)
			p.Evidence["roles_unread"] = "the account's own token may not read them: " + err.Error()
			return
		}
		a := posture.Account{ID: me.ID, UPN: me.UserPrincipalName, Name: me.DisplayName, Type: deref(me.UserType, "Member"), Enabled: me.AccountEnabled, JobTitle: deref(me.JobTitle, "")}
		if r.token.Claims.WIDs == nil {
			p.Evidence["roles_unread"] = "the token does not list the account's directory roles, and there is no reader"
		}
		for _, id := range r.token.Claims.WIDs {
			a.Roles = append(a.Roles, posture.Role{ID: id, Name: roleName(id), Scope: "/"})
		}
		r.judgeAccount(p, a)
	})
}

// rolesUnread says why the account's roles are not known where neither a reader
// nor its own token tells them.
func (r *run) rolesUnread() string {
	var e *microsoft.Error
	switch {
	case r.readerErr != nil:
		return "the reader could not read the tenant, and the account's own sign-in was refused"
	case r.AppPassword:
		return "there is no reader, and the profile's app password opens no sign-in that would tell them"
	case r.Elsewhere:
		return "there is no reader, and the credential is with the consumer alone, so that the account's own token cannot tell them"
	case errors.As(r.tokenErr, &e) && posture.MayStandBehind(e.Code):
		return "there is no reader, and a rule that demands MFA keeps the account from a token of its own, which would tell them"
	}
	return "there is no reader, and the account got no token of its own, which would tell them"
}

func deref(s *string, other string) string {
	if s == nil {
		return other
	}
	return *s
}

func (r *run) judgeAccount(p *Probe, a posture.Account) {
	p.set(Passed, "")
	p.Evidence["object_id"], p.Evidence["display_name"], p.Evidence["user_type"] = a.ID, a.Name, a.Type
	if a.Enabled != nil {
		p.Evidence["enabled"] = *a.Enabled
	}
	if a.Roles == nil && p.Evidence["roles_unread"] == nil && r.snapshot != nil {
		p.Evidence["roles_unread"] = cmp.Or(r.snapshot.Reason(posture.PartMemberships, r.Username), r.snapshot.Reason(posture.PartAssignments, ""), "the snapshot does not hold them")
	}
	if a.Roles != nil {
		names := []string{}
		for _, role := range a.Roles {
			if role.Name != "" {
				names = append(names, role.Name)
			}
		}
		p.Evidence["roles"] = names
	}
	if a.Plans != nil {
		p.Evidence["licensed_for"] = a.Plans
	}
	switch {
	case a.Enabled != nil && !*a.Enabled:
		p.set(Warning, "the account is disabled")
	case a.Type == "Guest":
		p.set(Warning, "the account is a guest here: its password and its rules are another tenant's")
	case r.Person != nil:
		r.judgePerson(p, a)
	default:
		r.judgeOwner(p, a)
	}
}

// judgePerson warns of what keeps a person's sign-in from serving; it is a person's
// own account as it should be.
func (r *run) judgePerson(p *Probe, a posture.Account) {
	switch {
	case r.Person.ObjectID != "" && !strings.EqualFold(a.ID, r.Person.ObjectID):
		p.set(Warning, "%s is another account by now (%s) than the one that signed in (%s)", r.Username, a.ID, r.Person.ObjectID)
	case a.Plans != nil && len(a.Plans) == 0 && slices.Contains(r.services(), ServiceBusinessCentral):
		p.set(Warning, "no licence is assigned to %s: Business Central lets in licensed people only", r.Username)
	}
}

// judgeOwner warns where signs say that the account is a person's own.
func (r *run) judgeOwner(p *Probe, a posture.Account) {
	unread := r.noReader()
	if r.snapshot != nil {
		unread = r.snapshot.Reason(posture.PartMethods, r.Username)
	}
	signs := accountSigns(a, unread)
	p.Evidence["owner_signs"] = signs
	how := map[string]string{OwnerLikely: "looks very much like", OwnerPerhaps: "looks like"}[conclude(signs)]
	if how == "" {
		return
	}
	var why []string
	for _, s := range signs {
		if s.Says == saysPerson {
			why = append(why, s.Words)
		}
	}
	p.set(Warning, "this %s a person's own account (%s): software needs an identity of its own", how, strings.Join(why, "; "))
}

// registration says whether a second factor is registered.
func (r *run) registration() {
	r.probe(ProbeRegistration, func(p *Probe) {
		if r.snapshot == nil {
			r.unseen(p)
			return
		}
		r.stamp(p)
		a, ok := r.snapshot.Account(r.Username)
		if !ok {
			p.set(NotKnown, "the account could not be read")
			return
		}
		registered := a.Registered()
		if registered == nil {
			p.set(NotKnown, "%s", r.snapshot.Reason(posture.PartMethods, r.Username))
			return
		}
		r.facts.Registered = registered
		p.Evidence["methods"], p.Evidence["registered"] = a.Methods, *registered
		if a.Capable != nil {
			p.Evidence["mfa_capable"] = *a.Capable
		} else {
			p.Evidence["mfa_capable_unread"] = r.snapshot.Reason(posture.PartCapable, r.Username)
		}
		if *registered {
			p.set(Passed, "")
			return
		}
		p.set(Passed, "no second factor is registered; a rule that demands MFA would first ask for registration")
	})
}

// logEntry finds the sign-in in the tenant's log by its correlation id. The
// log lags by minutes and needs P1: nothing found proves nothing.
func (r *run) logEntry(ctx context.Context, p *Probe) *graph.SignIn {
	var e *microsoft.Error
	if r.reader == nil || !errors.As(r.tokenErr, &e) || e.CorrelationID == "" {
		return nil
	}
	if r.Shared != nil {
		p.Evidence["sign_in_log"] = notInSweep
		return nil
	}
	kinds := "signInEventTypes/any(t:t eq 'interactiveUser' or t eq 'nonInteractiveUser')"
	if r.facts.AppOnly {
		kinds = "signInEventTypes/any(t:t eq 'servicePrincipal')"
	}
	filter := fmt.Sprintf("correlationId eq '%s' and %s", e.CorrelationID, kinds)
	entries, err := graph.List[graph.SignIn](ctx, r.reader, "/beta/auditLogs/signIns?$top=5&$filter="+graph.QueryValue(filter))
	if err != nil {
		p.Evidence["sign_in_log"] = "not read: " + err.Error()
		return nil
	}
	for i := range entries {
		if strings.EqualFold(entries[i].CorrelationID, e.CorrelationID) {
			p.Evidence["sign_in_log"] = "found: " + entries[i].ID
			return &entries[i]
		}
	}
	p.Evidence["sign_in_log"] = "the sign-in is not in the log yet; entries arrive after minutes"
	return nil
}

// principal looks at an app in the tenant's directory: enabled, and when its
// credentials end.
func (r *run) principal(ctx context.Context) {
	r.probe(ProbeAccount, func(p *Probe) {
		if r.reader == nil {
			if r.Reader == nil && r.Snapshot != nil {
				p.set(NotKnown, "a snapshot does not hold an app's credentials: give --reader-client-id to read the app's state and expiry dates")
				return
			}
			r.unseen(p)
			return
		}
		var sp graph.ServicePrincipal
		err := r.reader.Get(ctx, principalPath(r.ClientID), &sp)
		if err != nil {
			p.set(NotKnown, "%v", err)
			var e *microsoft.Error
			if errors.As(err, &e) && e.Status == http.StatusNotFound {
				p.set(Warning, "the tenant has no service principal for the app")
			}
			return
		}
		r.facts.ClientName = sp.DisplayName
		p.set(Passed, "")
		p.Evidence["object_id"], p.Evidence["display_name"] = sp.ID, sp.DisplayName
		if sp.AccountEnabled != nil {
			p.Evidence["enabled"] = *sp.AccountEnabled
			if !*sp.AccountEnabled {
				p.set(Warning, "the app is disabled in the tenant")
				return
			}
		}
		credentials := slices.Concat(sp.PasswordCredentials, sp.KeyCredentials)
		var app graph.Application
		if err := r.reader.Get(ctx, "/v1.0/applications(appId='"+graph.PathKey(r.ClientID)+"')", &app); err != nil {
			p.Evidence["registration"] = "not read: " + err.Error()
		}
		r.judgeCredentials(p, slices.Concat(credentials, app.PasswordCredentials, app.KeyCredentials))
		if r.Federated {
			r.federatedCredentials(ctx, p)
		}
	})
	r.rediagnose()
}

// federatedCredentials lists whose tokens the app accepts in place of a secret:
// without any, nobody's.
func (r *run) federatedCredentials(ctx context.Context, p *Probe) {
	list, err := graph.List[graph.FederatedCredential](ctx, r.reader, "/v1.0/applications(appId='"+graph.PathKey(r.ClientID)+"')/federatedIdentityCredentials")
	switch {
	case err != nil:
		p.Evidence["federated_credentials"] = "not read: " + err.Error()
	case len(list) == 0:
		p.set(Warning, "the app registration has no federated credential, so no token of another issuer proves the app: add one with issuer, subject and audience of the consumer's token")
	default:
		p.Evidence["federated_credentials"] = list
	}
}

// judgeCredentials lists when the app's credentials end, and warns if the
// secret in use, told by its first characters, ends soon. A certificate's own
// dates were looked at in the configuration.
func (r *run) judgeCredentials(p *Probe, credentials []graph.Credential) {
	ends := []string{}
	var used *graph.Credential
	for i, c := range credentials {
		if c.EndDateTime == nil {
			continue
		}
		ends = append(ends, c.EndDateTime.UTC().Format(time.RFC3339))
		if c.Hint != nil && *c.Hint != "" && strings.HasPrefix(r.Secret.Reveal(), *c.Hint) {
			used = &credentials[i]
		}
	}
	p.Evidence["credentials_end"] = ends
	if used == nil {
		return
	}
	if left := used.EndDateTime.Sub(r.now()); left <= 0 {
		p.set(Warning, "the client secret in use ended on %s", used.EndDateTime.UTC().Format(time.DateOnly))
	} else if left <= soon {
		p.set(Warning, "the client secret in use ends on %s, in %d days", used.EndDateTime.UTC().Format(time.DateOnly), int(left.Hours()/24))
	}
}
