package operator

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"gatehouse/internal/secrets"
)

// params are what argon2id costs.
type params struct {
	memory  uint32 // KiB
	time    uint32 // passes
	threads uint8
}

// cost is what a new hash costs: the first choice of OWASP's password storage
// cheat sheet.
var cost = params{memory: 19 << 10, time: 2, threads: 1}

const (
	saltSize = 16
	hashSize = 32
)

// phc is a hash in the form "$argon2id$v=19$m=…,t=…,p=…$salt$hash" of the PHC
// string format.
type phc struct {
	params
	salt, hash []byte
}

// String is the form that is stored.
func (h phc) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, b64(h.salt), b64(h.hash))
}

// parsePHC reads a stored hash, strictly, and within bounds of what may be spent
// on it.
func parsePHC(text string) (phc, error) {
	bad := func(what string) (phc, error) {
		return phc{}, fmt.Errorf("reading the hash of a password: %s", what)
	}
	parts := strings.Split(text, "$")
	if len(text) > 512 || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return bad("it is not one of argon2id")
	}
	var h phc
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); n != 3 || err != nil {
		return bad("its parameters are not m, t, p")
	}
	if h.memory < 8*uint32(h.threads) || h.memory > 256<<10 || h.time < 1 || h.time > 16 || h.threads < 1 || h.threads > 16 {
		return bad("its parameters are out of bounds")
	}
	var err, err2 error
	h.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.hash, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || err2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.hash) < 16 || len(h.hash) > 64 {
		return bad("its salt or hash is damaged")
	}
	if h.String() != text {
		return bad("it is not written in the one right way")
	}
	return h, nil
}

// hasher hashes passwords, a few at a time: each takes 19 MiB.
type hasher struct{ slots chan struct{} }

func newHasher() *hasher { return &hasher{make(chan struct{}, 4)} }

func (h *hasher) compute(ctx context.Context, password secrets.Value, salt []byte, p params, size int) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to check a password: %w", ctx.Err())
	}
	defer func() { <-h.slots }()
	// The same password typed on another keyboard gives the same bytes.
	text := norm.NFKC.String(password.Reveal())
	return argon2.IDKey([]byte(text), salt, p.time, p.memory, p.threads, uint32(size)), nil
}

func (h *hasher) hash(ctx context.Context, password secrets.Value) (string, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	sum, err := h.compute(ctx, password, salt, cost, hashSize)
	return phc{cost, salt, sum}.String(), err
}

// verify reports whether the password is the hash's, and whether the hash costs
// less than a new one would.
func (h *hasher) verify(ctx context.Context, stored string, password secrets.Value) (right, old bool, err error) {
	want, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	got, err := h.compute(ctx, password, want.salt, want.params, len(want.hash))
	if err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(got, want.hash) == 1, want.params != cost || len(want.salt) != saltSize || len(want.hash) != hashSize, nil
}

// burn does the work of a verification that cannot succeed, so that the time of
// an answer does not tell who has an account.
func (h *hasher) burn(ctx context.Context, password secrets.Value) error {
	_, err := h.compute(ctx, password, make([]byte, saltSize), cost, hashSize)
	return err
}

// Weak says why a password is refused.
type Weak struct{ Reason string }

// Error is the reason, for the person who chose the password.
func (w *Weak) Error() string { return "choosing a password: " + w.Reason }

const (
	minPassword = 12
	maxPassword = 256
	minDistinct = 5
)

// tooLong refuses, before any work, what cannot be a password.
func tooLong(password secrets.Value) bool { return len(password.Reveal()) > 4*maxPassword }

// checkPassword refuses a password that would be guessed among the first. The
// rules follow NIST SP 800-63B: length, and not a known one; no demand for
// classes of characters.
func checkPassword(password secrets.Value, email string) error {
	if tooLong(password) {
		return &Weak{fmt.Sprintf("it has more than %d characters", maxPassword)}
	}
	text := norm.NFKC.String(password.Reveal())
	runes := []rune(strings.ToLower(text))
	distinct := map[rune]bool{}
	for _, r := range runes {
		distinct[r] = true
	}
	local, _, _ := strings.Cut(email, "@")
	switch {
	case len(runes) < minPassword:
		return &Weak{fmt.Sprintf("it has fewer than %d characters; four words in a row are easy to remember", minPassword)}
	case len(runes) > maxPassword:
		return &Weak{fmt.Sprintf("it has more than %d characters", maxPassword)}
	case len(distinct) < minDistinct:
		return &Weak{fmt.Sprintf("it has fewer than %d different characters", minDistinct)}
	case strings.Contains(string(runes), email), letters(local) != "" && letters(string(runes)) == letters(local):
		return &Weak{"it is the e-mail address"}
	case sequence(runes):
		return &Weak{"it is a row of neighbouring characters"}
	case common(string(runes)):
		return &Weak{"it is one of the commonest passwords, or only a variation"}
	}
	return nil
}

// sequence reports a run through the alphabet, the digits or the keyboard.
func sequence(runes []rune) bool {
	const keyboard = "qwertyuiopasdfghjklzxcvbnm qwertzuiopasdfghjklyxcvbnm azertyuiopqsdfghjklmwxcvbn 1q2w3e4r5t6y7u8i9o0p 1qaz2wsx3edc4rfv5tgb6yhn"
	steps := 0
	for i := 1; i < len(runes); i++ {
		d := runes[i] - runes[i-1]
		if d >= -1 && d <= 1 || d == 9 || d == -9 || strings.Contains(keyboard, string(runes[i-1:i+1])) {
			steps++
		}
	}
	return steps >= len(runes)-2
}

// commonWords are what most guessed passwords are made of.
var commonWords = strings.Fields(`
	password passwort passw pass motdepasse contrasena senha wachtwoord
	admin administrator root superuser sysadmin operator gatehouse service
	welcome willkommen bienvenue hello letmein changeme secret geheim default temp test testing guest user login
	qwerty qwertz azerty asdf zxcvbn abc
	iloveyou loveyou love sunshine princess monkey dragon football baseball master superman batman shadow michael
	summer winter spring autumn sommer january monday company microsoft office azure entra google internet computer
`)

// common reports a password that is nothing but common words, numbers and signs.
func common(lower string) bool {
	rest := letters(lower)
	if rest == "" {
		return false
	}
	for rest != "" {
		longest := 0
		for _, word := range commonWords {
			if strings.HasPrefix(rest, word) {
				longest = max(longest, len(word))
			}
		}
		if longest == 0 {
			return false
		}
		rest = rest[longest:]
	}
	return true
}

// letters leaves the letters, with the figures and signs that people put in
// their places.
func letters(lower string) string {
	instead := strings.NewReplacer("@", "a", "4", "a", "3", "e", "0", "o", "$", "s", "5", "s")
	trimmed := strings.TrimFunc(lower, func(r rune) bool { return r < 'a' && r != '@' && r != '$' })
	return strings.Map(func(r rune) rune {
		if r < 'a' {
			return -1
		}
		return r
	}, instead.Replace(trimmed))
}
