package secrets

import (
	"fmt"
	"log/slog"
)

// Value is a secret: a password, client secret or private key. However it is
// printed, logged or encoded, it shows dots; only Reveal gives it away. The
// zero value is "no secret".
type Value struct{ hidden string }

const dots = "••••••"

// New wraps a secret.
func New(secret string) Value { return Value{secret} }

// Reveal gives the secret. Call it where it is used, never to pass it on.
func (v Value) Reveal() string { return v.hidden }

// Empty reports whether there is no secret.
func (v Value) Empty() bool { return v.hidden == "" }

// String shows dots.
func (Value) String() string { return dots }

// Format shows dots under every verb, %#v and %x included.
func (Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(dots)) }

// MarshalText encodes dots.
func (Value) MarshalText() ([]byte, error) { return []byte(dots), nil }

// LogValue logs dots.
func (Value) LogValue() slog.Value { return slog.StringValue(dots) }
