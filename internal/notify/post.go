package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/egress"
	"gatehouse/internal/secrets"
)

// Headers and secrets of the Standard Webhooks specification, version 1.
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
	secretPrefix    = "whsec_"
	secretBytes     = 32 // between 24 and 64
)

// maxAnswer bounds what is read of a receiver's answer, shown what is kept of it.
const (
	maxAnswer = 64 << 10
	shown     = 300
)

// WhoActs is the member of an event's data that says who has to do something; it
// is shown in mails as well.
const WhoActs = "who_acts"

// message is the body of a webhook, in the form that the specification proposes.
type message struct {
	Type      string  `json:"type"`
	Timestamp string  `json:"timestamp"` // when it happened
	Data      content `json:"data"`
}

type content struct {
	ID      string          `json:"id"`     // of the notice, as in the header
	Key     string          `json:"key"`    // what the notice is about
	Tenant  *about          `json:"tenant"` // null for the whole server
	Title   string          `json:"title"`
	Text    string          `json:"text"`
	URL     string          `json:"url"` // page of the console
	Details json.RawMessage `json:"details"`
}

type about struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// body writes a notice as the body of a webhook.
func (s *Service) body(n *noticeRow) []byte {
	m := message{Type: n.Kind, Timestamp: n.At.UTC().Format(time.RFC3339Nano), Data: content{ID: n.ID, Key: n.Key, Title: n.Title, Text: n.Text, URL: s.PublicURL + n.Path, Details: json.RawMessage(n.Data)}}
	if n.TenantID != "" {
		m.Data.Tenant = &about{n.TenantID, n.TenantName}
	}
	return []byte(encode(m))
}

// newSecret makes a secret to sign with.
func newSecret() secrets.Value {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails
	return secrets.New(secretPrefix + base64.StdEncoding.EncodeToString(b))
}

// sign is one signature of a message: over its id, the time of sending in
// seconds since 1970, and the body.
func sign(secret secrets.Value, id string, at time.Time, body []byte) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), secretPrefix))
	if err != nil {
		return "", errors.New("signing a webhook: the secret is none: replace it")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// signatures are those of the secret and, while it is being replaced, of the one
// before.
func (s *Service) signatures(ctx context.Context, w *webhookRow, id string, at time.Time, body []byte) (string, error) {
	sealed := map[string][]byte{"secret": w.Secret}
	columns := []string{"secret"}
	if len(w.OldSecret) > 0 && w.OldUntil != nil && w.OldUntil.After(at) {
		sealed["old_secret"] = w.OldSecret
		columns = append(columns, "old_secret")
	}
	var all []string
	for _, column := range columns {
		secret, err := s.Keys.Open(ctx, "webhooks", w.ID, column, sealed[column])
		if err != nil {
			return "", err
		}
		one, err := sign(secret, id, at, body)
		if err != nil {
			return "", err
		}
		all = append(all, one)
	}
	return strings.Join(all, " "), nil
}

// post sends a webhook. Its id is the notice's: the same in each attempt and
// replay, so that a receiver can tell what it has had already.
func (s *Service) post(ctx context.Context, p *parcel) result {
	request, err := s.request(ctx, p)
	if err != nil {
		return result{reason: err.Error()}
	}
	response, err := s.outside.Do(request)
	if err != nil {
		return result{reason: withoutAddress(err)}
	}
	defer response.Body.Close()
	return read(response, s.Now())
}

func (s *Service) request(ctx context.Context, p *parcel) (*http.Request, error) {
	address, err := s.Keys.Open(ctx, "webhooks", p.webhook.ID, "url", p.webhook.URL)
	if err != nil {
		return nil, err
	}
	body, now := s.body(p.notice), s.Now()
	signed, err := s.signatures(ctx, p.webhook, p.notice.ID, now, body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address.Reveal(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address of the webhook cannot be read: enter it anew")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Gatehouse")
	r.Header.Set(headerID, p.notice.ID)
	r.Header.Set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
	r.Header.Set(headerSignature, signed)
	return r, nil
}

// withoutAddress is why a request did not come through, without the address,
// which may hold a key.
func withoutAddress(err error) string {
	var about *url.Error
	var refused *egress.Refused
	switch {
	case errors.As(err, &refused):
		return "it may not be reached: " + refused.Error()
	case errors.As(err, &about):
		err = about.Err
	}
	return "it could not be reached: " + err.Error()
}

// read tells from an answer what became of a webhook.
func read(response *http.Response, now time.Time) result {
	r := result{status: response.StatusCode}
	head, _ := io.ReadAll(io.LimitReader(response.Body, shown+1)) // what broke off is shown as far as it came
	r.answer = escape(head)
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		r.taken = true
	case code == http.StatusGone:
		r.reason, r.gone, r.hopeless = "it answered 410 Gone: it wants no more notices", true, true
	case code >= 300 && code < 400:
		r.reason = fmt.Sprintf("it answered %d, which sends on to another address: redirects are not followed, enter the address where it leads", code)
	default:
		r.reason = fmt.Sprintf("it answered %d %s", code, http.StatusText(code))
	}
	if !r.taken {
		r.after = retryAfter(response.Header.Get("Retry-After"), now)
	}
	return r
}

// retryAfter reads the header: seconds or a moment (RFC 9110 §10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// escape makes bytes from outside fit to be kept and shown.
func escape(data []byte) string {
	more := len(data) > shown
	if more {
		data = data[:shown]
	}
	quoted := strconv.QuoteToGraphic(string(data))
	text := strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if more {
		text += "…"
	}
	return text
}
