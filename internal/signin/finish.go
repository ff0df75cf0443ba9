package signin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Finish takes the answer with which Microsoft sent a browser back, and the cookie
// of that browser. What is refused is a [*Refusal], of which nothing is kept but
// that it happened. The actor's address is where the browser comes from.
func (s *Service) Finish(ctx context.Context, query url.Values, cookie string) (Done, error) {
	r, a, err := s.take(ctx, query, cookie)
	if err != nil {
		var refusal *Refusal
		if r != nil && errors.As(err, &refusal) {
			return Done{}, s.refused(ctx, r, refusal)
		}
		if errors.As(err, &refusal) {
			// Nobody is known: counted only, so that the log cannot be filled from outside.
			who, _ := audit.From(ctx)
			s.Audit.Count(audit.With(ctx, audit.Actor{Kind: audit.Visitor, Address: who.Address}), "connection.sign_in refused: "+string(refusal.Reason), "", audit.AllTenants)
		}
		return Done{}, err
	}
	done := Done{AttemptID: r.ID, ConnectionID: r.ConnectionID, Operator: r.LinkID == ""}
	acting, err := s.acting(ctx, r)
	if err == nil {
		var earned login.Earned
		if earned, err = s.redeem(acting, r, a); err == nil {
			err = s.accept(acting, r, earned)
		}
	}
	var challenge *challenged
	if errors.As(err, &challenge) {
		done.Again, err = s.again(acting, r, r.Round+1, challenge.claims, "", secrets.New(cookie))
		return done, err
	}
	return done, s.refused(ctx, r, err)
}

// take finds the attempt that an answer is for and uses it up: right or wrong, an
// answer is looked at once. The row is given beside a refusal where it is known.
func (s *Service) take(ctx context.Context, query url.Values, cookie string) (*attemptRow, answer, error) {
	a, err := readAnswer(query)
	if err != nil {
		return nil, a, err
	}
	var r attemptRow
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		r = attemptRow{}
		err := tx.NewSelect().Model(&r).Where("state_hash = ?", hash(secrets.New(a.state))).Scan(ctx)
		if sqldb.Missing(err) {
			return refuse(State, "This is no answer to a sign-in that was begun here", "the state is not known")
		}
		if err != nil {
			return fmt.Errorf("reading a sign-in: %w", err)
		}
		used, err := tx.NewRaw("UPDATE signin_attempts SET used_at = ? WHERE id = ? AND used_at IS NULL", s.time(), r.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("reading a sign-in: %w", err)
		}
		if n, err := used.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, refuse(Replayed, "This answer was used already", "a second time"))
		}
		return nil
	})
	switch {
	case err != nil && r.ID == "":
		return nil, a, err
	case err != nil:
	case cookie == "" || hash(secrets.New(cookie)) != r.BrowserHash:
		err = refuse(Browser, "This sign-in was begun in another browser", "the cookie is missing or another one")
	case !s.time().Before(r.ExpiresAt):
		err = refuse(Lapsed, "This sign-in took too long", "begun at %s", r.CreatedAt.UTC())
	}
	return &r, a, err
}

// challenged says that a sign-in has to go on at Microsoft's with a challenge.
type challenged struct {
	claims string
	cause  *microsoft.Error
}

func (c *challenged) Error() string { return c.cause.Error() }

// more are the codes of refusals that more proof of the person answers: a second
// factor, its registration, an external method (entra-sign-in §4.3, §11.4).
var more = []string{"AADSTS50076", "AADSTS50079", "AADSTS50072", "AADSTS50074", "AADSTS50158"}

// challenges reports whether sending the person back with the claims helps.
func challenges(e *microsoft.Error) bool {
	return slices.Contains(more, e.Code) || e.Claims != "" && e.Suberror != "message_only" && (e.OAuth == "interaction_required" || e.OAuth == "invalid_grant")
}

// redeem exchanges the code, for what was asked for and nothing else.
func (s *Service) redeem(ctx context.Context, r *attemptRow, a answer) (login.Earned, error) {
	if err := s.ours(ctx, r, a); err != nil {
		return login.Earned{}, err
	}
	if a.oauth != "" {
		return login.Earned{}, refusedBy(a.refused())
	}
	app, err := s.app(ctx, r)
	if err != nil {
		return login.Earned{}, err
	}
	kept, err := s.open(ctx, r)
	if err != nil {
		return login.Earned{}, err
	}
	earned, err := s.login.Code(ctx, app, login.Redemption{Tenant: r.DirectoryID, Redirect: r.Redirect, Code: secrets.New(a.code), Verifier: kept.Verifier, Scopes: strings.Fields(r.Scopes)})
	if e, said := errors.AsType[*microsoft.Error](err); said {
		if challenges(e) && r.Round <= maxRounds {
			return login.Earned{}, &challenged{e.Claims, e}
		}
		return login.Earned{}, refusedBy(e)
	}
	return earned, err
}

// ours demands that the answer is of the tenant's own issuer and cloud, as far as
// it says. Entra names the issuer (RFC 9207) or the cloud's host in some answers.
func (s *Service) ours(ctx context.Context, r *attemptRow, a answer) error {
	if a.host != "" && !strings.EqualFold(a.host, s.MicrosoftHost()) {
		return refuse(MixUp, "The answer came from another cloud", "it names %.200q", a.host)
	}
	if a.issuer == "" {
		return nil
	}
	tenant, err := s.login.Tenant(ctx, r.DirectoryID)
	if e, said := errors.AsType[*microsoft.Error](err); said {
		return refusedBy(e)
	}
	if err == nil && a.issuer != tenant.Issuer {
		err = refuse(MixUp, "The answer came from another issuer", "it names %.200q", a.issuer)
	}
	return err
}

// app gives the app of an attempt, which has to be still the same.
func (s *Service) app(ctx context.Context, r *attemptRow) (login.App, error) {
	app, err := s.App(ctx, r.RegistrationID)
	if err == nil && app.ClientID != r.ClientID {
		err = refuse(Changed, "The app registration was changed while you signed in", "begun with %s, now %s", r.ClientID, app.ClientID)
	}
	return app, err
}

// accept looks at what a sign-in earned, and keeps it.
func (s *Service) accept(ctx context.Context, r *attemptRow, earned login.Earned) error {
	if earned.Refresh.Empty() {
		return refuse(NoRefresh, "Microsoft gave no refresh token, so that the connection would end within the hour: the permission offline_access is missing", "offline_access was asked for and not granted")
	}
	if missing := lacking(strings.Fields(r.Scopes), earned.Scopes); len(missing) > 0 {
		return refuse(Narrow, "Microsoft granted less than the connection needs: "+strings.Join(missing, ", "), "granted: %.500q", strings.Join(earned.Scopes, " "))
	}
	kept, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	who, err := s.login.VerifyID(ctx, earned.ID, login.Expected{TenantID: r.DirectoryID, ClientID: r.ClientID, Nonce: kept.Nonce, Now: s.Now()})
	if wrong, is := errors.AsType[*login.IdentityError](err); is {
		refusal := refuse(Identity, "Microsoft's answer does not prove who signed in", "%s", wrong.What)
		refusal.Err = wrong
		return refusal
	}
	if e, said := errors.AsType[*microsoft.Error](err); said {
		return refusedBy(e)
	}
	if err != nil {
		return err
	}
	if other := earned.Claims.ObjectID; other != "" && !strings.EqualFold(other, who.ObjectID) {
		return refuse(Identity, "Microsoft's answer does not prove who signed in", "the access token is of %.60q", other)
	}
	if err := s.right(ctx, r, who); err != nil {
		return err
	}
	return s.store(ctx, r, earned, who)
}

// store keeps a sign-in with all that comes of it.
func (s *Service) store(ctx context.Context, r *attemptRow, earned login.Earned, who login.Identity) error {
	c, err := s.Connections.Get(ctx, r.ConnectionID)
	if err != nil {
		return err
	}
	grant := Grant{
		ConnectionID: r.ConnectionID, TenantID: r.TenantID, RegistrationID: r.RegistrationID, ClientID: r.ClientID, Cloud: s.Cloud.Name, DirectoryID: r.DirectoryID, ObjectID: who.ObjectID, Username: who.Username,
		Refresh: earned.Refresh, Access: earned.Token, Resource: r.Resource, AuthTime: who.IssuedAt, AMR: earned.Claims.AMR, Flow: r.Flow, By: r.ActorName,
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Audit.Act(ctx, tx, r.entry(c.Name, "connection.signed_in", map[string]any{
			"flow": r.Flow, "resource": r.Resource, "person": who.Username, "object_id": who.ObjectID, "client_id": r.ClientID, "link": r.LinkID, "correlation_id": earned.CorrelationID,
		})); err != nil {
			return err
		}
		if err := s.endLink(ctx, tx, r.LinkID); err != nil {
			return err
		}
		if err := s.Connections.SignedIn(ctx, tx, r.ConnectionID, connection.Person{ObjectID: who.ObjectID, Username: who.Username, ClientID: r.ClientID}); err != nil {
			return err
		}
		if err := s.Earned(ctx, tx, grant); err != nil {
			return err
		}
		if s.SignedIn != nil {
			if err := s.SignedIn(ctx, tx, r.ConnectionID, r.CampaignID, who.Username, nil); err != nil {
				return err
			}
		}
		return s.note(ctx, tx, r, &Event{Outcome: SignedIn, Person: who.Username, ObjectID: who.ObjectID, CorrelationID: earned.CorrelationID})
	})
	if errors.Is(err, connection.ErrOtherPerson) { // decided meanwhile, in another browser
		return s.other(who, "somebody else")
	}
	return err
}

// again begins anew where an attempt ended: with a challenge to answer, or another
// account to choose.
func (s *Service) again(ctx context.Context, r *attemptRow, round int64, claims, prompt string, browser secrets.Value) (string, error) {
	c, err := s.manageable(ctx, r.ConnectionID)
	if err != nil {
		return "", err
	}
	st := start{connection: c, person: c.Username, round: round, Options: Options{Resource: r.Resource, Claims: claims, Prompt: prompt, CampaignID: r.CampaignID, Browser: browser}}
	if r.LinkID != "" {
		if st.link, err = s.findLink(ctx, r.LinkID); err != nil {
			return "", err
		}
		if err := st.link.usable(s.time(), hash(browser)); err != nil {
			return "", err
		}
		st.person = orElse(st.person, st.link.Person)
	}
	next, err := s.begin(ctx, st)
	if err != nil {
		return "", err
	}
	err = s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewRaw("UPDATE signin_attempts SET next_id = ? WHERE id = ?", next.ID, r.ID).Exec(ctx)
		return err
	})
	return next.URL, err
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
