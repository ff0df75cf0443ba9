package operator

import (
	"bytes"
	"context"
	"crypto/subtle"
	"fmt"
	"image/png"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"gatehouse/internal/secrets"
)

// The parameters that every code generator knows (RFC 6238): six digits of
// SHA-1, a new code each half minute.
const (
	stepLength = 30 * time.Second
	skew       = 1 // steps before and after that are accepted: clocks differ
)

// TOTPEnrolment is what a code generator needs to be set up.
type TOTPEnrolment struct {
	Secret secrets.Value // base32, to type
	URL    secrets.Value // otpauth://…
	QR     []byte        // the URL as a PNG to scan; as secret as the others
}

// BeginTOTPEnrolment makes the secret of a new code generator.
func (s *Service) BeginTOTPEnrolment(ctx context.Context, session *Session) (TOTPEnrolment, error) {
	if err := s.mayEnrol(session); err != nil {
		return TOTPEnrolment{}, err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Gatehouse", AccountName: session.Operator.Email, SecretSize: 20})
	if err != nil {
		return TOTPEnrolment{}, fmt.Errorf("enrolling a code generator: %w", err)
	}
	image, err := key.Image(240, 240)
	if err != nil {
		return TOTPEnrolment{}, fmt.Errorf("enrolling a code generator: drawing its code: %w", err)
	}
	var qr bytes.Buffer
	if err := png.Encode(&qr, image); err != nil {
		return TOTPEnrolment{}, fmt.Errorf("enrolling a code generator: drawing its code: %w", err)
	}
	if err := s.begin(ctx, session, ceremony{Kind: kindTOTP, Enrol: true, TOTP: key.Secret()}); err != nil {
		return TOTPEnrolment{}, err
	}
	return TOTPEnrolment{Secret: secrets.New(key.Secret()), URL: secrets.New(key.URL()), QR: qr.Bytes()}, nil
}

// FinishTOTPEnrolment takes the first code of the new generator, which proves
// that it was set up, and signs the session in. A mistyped code may be tried
// again.
func (s *Service) FinishTOTPEnrolment(ctx context.Context, session *Session, name, code string, visit Visit) (Issued, error) {
	if err := s.mayEnrol(session); err != nil {
		return Issued{}, err
	}
	c, _, err := s.pending(ctx, session, kindTOTP, true)
	if err != nil {
		return Issued{}, err
	}
	step, right, err := matchCode(c.TOTP, code, s.time(), 0)
	if err != nil {
		return Issued{}, err
	}
	if !right {
		return Issued{}, ErrFactor
	}
	return s.enrol(ctx, session, factor{Kind: kindTOTP, Name: name, LastStep: step}, secrets.New(c.TOTP), visit)
}

// TOTP completes a sign-in with a code. Each code is good once. Anything wrong is
// [ErrFactor], and counts towards the lock of the account.
func (s *Service) TOTP(ctx context.Context, session *Session, code string, visit Visit) (Issued, error) {
	if err := s.attempt(ctx, session, visit); err != nil {
		return Issued{}, err
	}
	factors, keys, err := s.stored(ctx, session.OperatorID, kindTOTP)
	if err != nil {
		return Issued{}, err
	}
	for i, f := range factors {
		step, right, err := matchCode(keys[i].Reveal(), code, s.time(), f.LastStep)
		if err != nil {
			return Issued{}, err
		}
		if right {
			return s.used(ctx, session, f, step, secrets.Value{}, visit)
		}
	}
	return Issued{}, s.wrong(ctx, session, "wrong code", visit)
}

// matchCode finds the time step that a code belongs to, among those that are
// accepted now and lie after the last one that was used.
func matchCode(key, code string, now time.Time, after int64) (step int64, right bool, err error) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	current := now.Unix() / int64(stepLength/time.Second)
	for s := current - skew; s <= current+skew; s++ {
		want, err := hotp.GenerateCodeCustom(key, uint64(s), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, fmt.Errorf("checking a code: %w", err)
		}
		if s > after && subtle.ConstantTimeCompare([]byte(code), []byte(want)) == 1 {
			step, right = s, true
		}
	}
	return step, right, nil
}
