package notifytest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Hook is a webhook as it arrived.
type Hook struct {
	ID, Timestamp, Signature string
	Header                   http.Header
	Body                     []byte
}

// Receiver takes webhooks over TLS on loopback.
type Receiver struct {
	URL string

	mu      sync.Mutex
	answer  http.HandlerFunc
	hooks   []Hook
	arrived chan struct{}
}

// Receive starts a receiver on a loopback address, which ends with the test.
func Receive(t testing.TB, address string) *Receiver {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	r := &Receiver{arrived: make(chan struct{}, 1000)}
	s := httptest.NewUnstartedServer(r)
	_ = s.Listener.Close()
	s.Listener, s.TLS = listener, serving()
	s.StartTLS()
	t.Cleanup(s.Close)
	r.URL = s.URL
	return r
}

// ServeHTTP takes a webhook.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	h := request.Header
	r.hooks = append(r.hooks, Hook{ID: h.Get("webhook-id"), Timestamp: h.Get("webhook-timestamp"), Signature: h.Get("webhook-signature"), Header: h.Clone(), Body: body})
	answer := r.answer
	r.mu.Unlock()
	r.arrived <- struct{}{}
	if answer != nil {
		answer(w, request)
	}
}

// Answer sets what is answered from now on; nil for 200.
func (r *Receiver) Answer(f http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// Status answers with a status from now on.
func (r *Receiver) Status(code int) {
	r.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// Hooks are those that arrived.
func (r *Receiver) Hooks() []Hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Hook{}, r.hooks...)
}

// Arrived gets a value with each webhook.
func (r *Receiver) Arrived() <-chan struct{} { return r.arrived }

// Verify checks a webhook as its receiver does, written from the Standard
// Webhooks specification and sharing nothing with what signs: one of the
// signatures is right, and it was sent within five minutes of a moment.
func (h Hook) Verify(secret string, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || !strings.HasPrefix(secret, "whsec_") || len(key) < 24 || len(key) > 64 {
		return errors.New("the secret is not of the form whsec_…")
	}
	seconds, err := strconv.ParseInt(h.Timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return errors.New("the time is missing or too far off")
	}
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, h.ID+"."+h.Timestamp+"."+string(h.Body))
	want := mac.Sum(nil)
	for _, one := range strings.Split(h.Signature, " ") {
		version, text, _ := strings.Cut(one, ",")
		if sum, err := base64.StdEncoding.DecodeString(text); version == "v1" && err == nil && hmac.Equal(sum, want) {
			return nil
		}
	}
	return errors.New("no signature fits")
}
