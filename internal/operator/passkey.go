package operator

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/internal/secrets"
)

// maxResponse bounds a browser's answer, in bytes.
const maxResponse = 64 << 10

// holder is an operator with passkeys, as the library wants it.
type holder struct {
	*Operator
	passkeys []webauthn.Credential
}

func (h *holder) WebAuthnID() []byte                         { return []byte(h.ID) }
func (h *holder) WebAuthnName() string                       { return h.Email }
func (h *holder) WebAuthnDisplayName() string                { return h.Name }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.passkeys }

func (s *Service) holder(ctx context.Context, session *Session) (*holder, []factor, error) {
	factors, records, err := s.stored(ctx, session.OperatorID, kindPasskey)
	if err != nil {
		return nil, nil, err
	}
	h := &holder{Operator: session.Operator, passkeys: make([]webauthn.Credential, len(factors))}
	for i, r := range records {
		if err := json.Unmarshal([]byte(r.Reveal()), &h.passkeys[i]); err != nil {
			return nil, nil, fmt.Errorf("reading a passkey: %w", err)
		}
	}
	return h, factors, nil
}

// BeginPasskeyEnrolment gives the options that the browser hands to
// navigator.credentials.create (WebAuthn §5.1.3), as JSON.
func (s *Service) BeginPasskeyEnrolment(ctx context.Context, session *Session) (json.RawMessage, error) {
	if err := s.mayEnrol(session); err != nil {
		return nil, err
	}
	h, _, err := s.holder(ctx, session)
	if err != nil {
		return nil, err
	}
	options, data, err := s.passkeys.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.passkeys).CredentialDescriptors()))
	if err != nil {
		return nil, fmt.Errorf("enrolling a passkey: %w", err)
	}
	return s.challenge(ctx, session, ceremony{Kind: kindPasskey, Enrol: true, Passkey: data}, options)
}

func (s *Service) challenge(ctx context.Context, session *Session, c ceremony, options any) (json.RawMessage, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("asking for a passkey: %w", err)
	}
	return text, s.begin(ctx, session, c)
}

// FinishPasskeyEnrolment takes what the browser's passkey answered, as JSON, and
// signs the session in. What does not answer this session's challenge is
// [ErrFactor].
func (s *Service) FinishPasskeyEnrolment(ctx context.Context, session *Session, name string, response []byte, visit Visit) (Issued, error) {
	if err := s.mayEnrol(session); err != nil {
		return Issued{}, err
	}
	c, err := s.take(ctx, session, kindPasskey, true)
	if err != nil {
		return Issued{}, err
	}
	h, _, err := s.holder(ctx, session)
	if err != nil {
		return Issued{}, err
	}
	if len(response) > maxResponse {
		return Issued{}, ErrFactor
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return Issued{}, fmt.Errorf("%w (%s)", ErrFactor, detail(err))
	}
	credential, err := s.passkeys.CreateCredential(h, *c.Passkey, parsed)
	if err != nil {
		return Issued{}, fmt.Errorf("%w (%s)", ErrFactor, detail(err))
	}
	record, err := json.Marshal(credential)
	if err != nil {
		return Issued{}, fmt.Errorf("enrolling a passkey: %w", err)
	}
	f := factor{Kind: kindPasskey, Name: name, Handle: base64.RawURLEncoding.EncodeToString(credential.ID)}
	return s.enrol(ctx, session, f, secrets.New(string(record)), visit)
}

// BeginPasskey gives the options that the browser hands to
// navigator.credentials.get (WebAuthn §5.1.4), as JSON.
func (s *Service) BeginPasskey(ctx context.Context, session *Session) (json.RawMessage, error) {
	if session.Stage != StagePassword {
		return nil, ErrSession
	}
	h, _, err := s.holder(ctx, session)
	if err != nil {
		return nil, err
	}
	if len(h.passkeys) == 0 {
		return nil, ErrFactor
	}
	options, data, err := s.passkeys.BeginLogin(h)
	if err != nil {
		return nil, fmt.Errorf("asking for a passkey: %w", err)
	}
	return s.challenge(ctx, session, ceremony{Kind: kindPasskey, Passkey: data}, options)
}

// FinishPasskey completes a sign-in with what the browser's passkey answered, as
// JSON. Anything wrong is [ErrFactor], and counts towards the lock of the
// account; so is a passkey whose counter shows that it was copied.
func (s *Service) FinishPasskey(ctx context.Context, session *Session, response []byte, visit Visit) (Issued, error) {
	if err := s.attempt(ctx, session, visit); err != nil {
		return Issued{}, err
	}
	c, err := s.take(ctx, session, kindPasskey, false)
	if errors.Is(err, ErrFactor) {
		return Issued{}, s.wrong(ctx, session, "no challenge", visit)
	}
	if err != nil {
		return Issued{}, err
	}
	h, factors, err := s.holder(ctx, session)
	if err != nil {
		return Issued{}, err
	}
	credential, err := s.assert(h, c, response)
	if err != nil {
		return Issued{}, s.wrong(ctx, session, "wrong passkey: "+detail(err), visit)
	}
	for i, known := range h.passkeys {
		if bytes.Equal(known.ID, credential.ID) {
			return s.passkeyUsed(ctx, session, factors[i], credential, visit)
		}
	}
	return Issued{}, s.wrong(ctx, session, "unknown passkey", visit)
}

func (s *Service) assert(h *holder, c ceremony, response []byte) (*webauthn.Credential, error) {
	if len(response) > maxResponse {
		return nil, errors.New("the answer is too long")
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return nil, err
	}
	credential, err := s.passkeys.ValidateLogin(h, *c.Passkey, parsed)
	if err != nil {
		return nil, err
	}
	if credential.Authenticator.CloneWarning {
		return nil, errors.New("its counter went back: it was copied")
	}
	return credential, nil
}

func (s *Service) passkeyUsed(ctx context.Context, session *Session, f factor, credential *webauthn.Credential, visit Visit) (Issued, error) {
	record, err := json.Marshal(credential)
	if err != nil {
		return Issued{}, fmt.Errorf("noting the use of a passkey: %w", err)
	}
	return s.used(ctx, session, f, f.LastStep, secrets.New(string(record)), visit)
}

// detail is what the library says of an answer, cut: it may quote it.
func detail(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) {
		return bounded(e.Details)
	}
	return bounded(err.Error())
}
