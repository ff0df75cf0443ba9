package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft/login"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/validation"
)

// ask gets a token from the sign-in service. An error that is no
// [gatehouse/internal/microsoft.Error] says that the service was not asked.
func (s *Service) ask(ctx context.Context, st *standing, t target, challenge string) (login.Earned, error) {
	scopes := []string{t.resource + "/.default"}
	if t.cae {
		var err error
		if challenge, err = capable(challenge); err != nil {
			return login.Earned{}, err
		}
	}
	switch st.Kind {
	case connection.Delegated:
		return s.askForPerson(ctx, st, scopes, challenge)
	case connection.App:
		return s.askForApp(ctx, st, scopes, challenge)
	case connection.ServiceAccount:
		return s.askForAccount(ctx, st, scopes, challenge)
	}
	return login.Earned{}, fmt.Errorf("getting a token: connections of kind %s have none", st.Kind)
}

// askForPerson goes on with what a person's sign-in earned.
func (s *Service) askForPerson(ctx context.Context, st *standing, scopes []string, challenge string) (login.Earned, error) {
	if s.App == nil {
		return login.Earned{}, errors.New("getting a token: this server has no app registrations")
	}
	app, err := s.App(ctx, st.RegistrationID)
	if err != nil {
		return login.Earned{}, err
	}
	if !strings.EqualFold(app.ClientID, st.ClientID) && s.Former != nil {
		if app, err = s.Former(ctx, st.RegistrationID, st.ClientID); err != nil {
			return login.Earned{}, err
		}
	}
	if !strings.EqualFold(app.ClientID, st.ClientID) {
		// A refresh token is its client's (entra-sign-in §8): the service is not asked.
		return login.Earned{}, s.refuse(st, NeedsSignIn, "the app registration has another client id than the one that the person signed in to ("+st.ClientID+"), and a sign-in to one is worth nothing to the other", nil)
	}
	refresh, err := s.Keys.Open(ctx, "grants", st.ID, "refresh", st.Refresh)
	if err != nil {
		return login.Earned{}, err
	}
	// offline_access asks for the refresh token that takes this one's place.
	return s.login.Renew(ctx, app, st.DirectoryID, refresh, append(scopes, "offline_access"), challenge)
}

// opened is the connection's credential, for who has authorised.
func (s *Service) opened(ctx context.Context, id string) (connection.Opened, error) {
	return s.Connections.Open(ourselves(ctx), id)
}

func (s *Service) askForApp(ctx context.Context, st *standing, scopes []string, challenge string) (login.Earned, error) {
	c, err := s.opened(ctx, st.ID)
	if err != nil {
		return login.Earned{}, err
	}
	app := login.App{ClientID: c.ClientID, Secret: c.Secret}
	if c.Credential == connection.Certificate {
		certificate, err := login.ReadCertificate([]byte(c.Secret.Reveal()))
		if err != nil {
			return login.Earned{}, err
		}
		app = login.App{ClientID: c.ClientID, Certificate: &certificate}
	}
	token, err := s.login.Credentials(ctx, app, st.Directory, scopes, challenge)
	return login.Earned{Token: token}, err
}

// askForAccount sends a service account's password, once: it is written down before
// and afterwards, and a password that was refused, or of which no answer came, is
// parked as after a validation. MSAL does not hand out the refresh token that the
// service gives with it, so the password is sent again when the token has ended.
func (s *Service) askForAccount(ctx context.Context, st *standing, scopes []string, challenge string) (login.Earned, error) {
	c, err := s.opened(ctx, st.ID)
	if err != nil {
		return login.Earned{}, err
	}
	if err := s.intend(ctx, st, c.CredentialVersion); err != nil {
		var parked *connection.ParkedError
		if errors.As(err, &parked) {
			return login.Earned{}, s.refuse(st, Parked, "the password is not tried any more: "+parked.Reason, nil)
		}
		return login.Earned{}, err
	}
	clientID := c.ClientID
	if clientID == "" {
		clientID = validation.GraphCommandLineTools
	}
	token, err := s.login.Password(ctx, st.Directory, clientID, c.Username, c.Secret, scopes, challenge)
	// MSAL reads the machine's clock.
	token.Expires = s.Now().Add(time.Until(token.Expires))
	// The answer is in hand: that it is noted must not depend on who waits.
	if noted := s.answered(context.WithoutCancel(ctx), st, c.CredentialVersion, err); noted != nil && err == nil {
		return login.Earned{}, noted
	}
	return login.Earned{Token: token}, err
}

const trySent = "sent"

// intend writes down that a password is about to be sent. If the one before was sent
// and nobody knows what became of it, the process having been stopped, it is parked:
// two such tries might lock the account.
func (s *Service) intend(ctx context.Context, st *standing, version int64) error {
	lost := st.Tried == trySent && st.TriedVersion == version
	if lost {
		const reason = "Gatehouse was stopped while it tried the password, so it may have been counted as wrong; the tenant's sign-in log knows"
		if err := s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if _, err := tx.NewRaw("UPDATE grants SET tried = ? WHERE connection_id = ?", validation.TryUnanswered, st.ID).Exec(ctx); err != nil {
				return fmt.Errorf("noting a password try: %w", err)
			}
			return s.Connections.Park(ourselves(ctx), tx, st.ID, version, reason)
		}); err != nil {
			return err
		}
		return &connection.ParkedError{Reason: reason}
	}
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := s.Connections.Claim(ctx, tx, st.ID, version); err != nil {
			return err
		}
		if _, err := tx.NewRaw("UPDATE grants SET tried_version = ?, tried = ? WHERE connection_id = ?", version, trySent, st.ID).Exec(ctx); err != nil {
			return fmt.Errorf("noting a password try: %w", err)
		}
		return nil
	})
}

// answered notes what became of a password, and parks it if it must not be sent
// again.
func (s *Service) answered(ctx context.Context, st *standing, version int64, outcome error) error {
	result := validation.OutcomeOf(outcome)
	trusted := st.Tried == validation.TryAccepted && st.TriedVersion == version
	return s.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		noted := result
		if result == validation.TryUnanswered && trusted || result == validation.TryAnswered || result == validation.TryNotSent {
			noted = st.Tried // it says nothing of the password
		}
		if _, err := tx.NewRaw("UPDATE grants SET tried = ? WHERE connection_id = ? AND tried_version = ?", noted, st.ID, version).Exec(ctx); err != nil {
			return fmt.Errorf("noting a password try: %w", err)
		}
		switch {
		case result == validation.TryAccepted:
			return s.Connections.Accepted(ourselves(ctx), tx, st.ID, version)
		case result == validation.TryRefused:
			return s.Connections.Park(ourselves(ctx), tx, st.ID, version, validation.RefusedReason(outcome))
		case result == validation.TryUnanswered && !trusted:
			return s.Connections.Park(ourselves(ctx), tx, st.ID, version, "the password was sent and no answer came, so it may have been counted as wrong")
		}
		return nil
	})
}

// system is the context of chores.
func system(ctx context.Context) context.Context { return audit.AsSystem(ctx, "token_broker") }
