package directory

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
)

// NameID derives a GUID from names: equal names give equal ids.
func NameID(names ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return formatID(sum[:16])
}

// RandomID makes a GUID from the system's randomness.
func RandomID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return formatID(b)
}

func formatID(b []byte) string {
	b[6] = b[6]&0x0f | 0x50
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// The lab's password hash is PBKDF2-HMAC-SHA256 with few rounds: real enough
// that a password is checked and never kept, quick enough (below 2 ms) that a
// test with thousands of sign-ins measures the client and not the lab.
const (
	passwordRounds = 1000
	saltSize       = 8
)

// HashPassword gives salt and hash of a password.
func HashPassword(password string) []byte {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	return append(salt, derive(password, salt)...)
}

// CheckPassword reports whether the password is the one that was hashed. It
// takes as long where there is no hash at all.
func CheckPassword(hash []byte, password string) bool {
	if len(hash) <= saltSize {
		derive(password, make([]byte, saltSize))
		return false
	}
	return subtle.ConstantTimeCompare(derive(password, hash[:saltSize]), hash[saltSize:]) == 1
}

func derive(password string, salt []byte) []byte {
	key, err := pbkdf2.Key(sha256.New, password, salt, passwordRounds, sha256.Size)
	if err != nil { // only for parameters that are constants here
		panic(fmt.Sprintf("directory: deriving password hash: %v", err))
	}
	return key
}

// HashSecret gives the keyed hash under which a client secret is kept. Client
// secrets are long and random, so a fast hash is enough.
func (s *Store) HashSecret(value string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(value))
	return mac.Sum(nil)
}

// CheckSecret finds the secret with the given value, nil if none has it.
func (s *Store) CheckSecret(secrets []*Secret, value string) *Secret {
	hash := s.HashSecret(value)
	var found *Secret
	for _, secret := range secrets {
		if hmac.Equal(secret.Hash, hash) {
			found = secret
		}
	}
	return found
}

// generator derives everything that a tenants file leaves open from the seed,
// so that equal seeds give equal labs.
type generator struct{ seed uint64 }

func (g generator) bytes(n int, names ...string) []byte {
	mac := hmac.New(sha256.New, fmt.Appendf(nil, "gatehouse lab %d", g.seed))
	mac.Write([]byte(strings.Join(names, "\x00")))
	out := mac.Sum(nil)
	for len(out) < n {
		mac.Write(out)
		out = append(out, mac.Sum(nil)...)
	}
	return out[:n]
}

func (g generator) id(names ...string) string { return formatID(g.bytes(16, append(names, "id")...)) }

func (g generator) pick(alphabet string, n int, names ...string) string {
	out := g.bytes(n, names...)
	for i, b := range out {
		out[i] = alphabet[int(b)%len(alphabet)]
	}
	return string(out)
}

const (
	lower   = "abcdefghijklmnopqrstuvwxyz"
	letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
)

func (g generator) password(names ...string) string {
	return "Lab-" + g.pick(letters, 14, append(names, "password")...) + "7!"
}

// appPassword has the shape of Entra's: sixteen lower-case letters.
func (g generator) appPassword(names ...string) string {
	return g.pick(lower, 16, append(names, "app password")...)
}

// secret has the shape of Entra's generated client secrets: 40 characters with
// a tilde in sixth place.
func (g generator) secret(names ...string) string {
	s := g.pick(letters, 39, append(names, "secret")...)
	return s[:5] + "~" + s[5:]
}

func (g generator) totp(names ...string) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(g.bytes(20, append(names, "totp")...))
}

func decodeSecret(s string) ([]byte, error) {
	return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.TrimRight(s, "=")))
}
