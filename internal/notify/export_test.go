package notify

import (
	"context"
	"encoding/json"
)

// Work is one attempt, as the queue makes it.
func (s *Service) Work(ctx context.Context, args json.RawMessage) error {
	var a deliverArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return err
	}
	return s.work(ctx, a)
}

// Begin is what precedes the sending: the attempt is written down.
func (s *Service) Begin(ctx context.Context, args json.RawMessage) error {
	var a deliverArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return err
	}
	_, err := s.begin(ctx, a)
	return err
}

// Line makes one line of a text from outside.
func Line(text string) string { return line(text, maxTitle) }

// Escape makes bytes from outside fit to be shown.
var Escape = escape

// RetryAfter reads the header.
var RetryAfter = retryAfter

// Loopback reports whether a mail server's address is this machine.
func Loopback(address string) bool { return loopback(place(address)) }

type place string

func (place) Network() string  { return "tcp" }
func (p place) String() string { return string(p) }
