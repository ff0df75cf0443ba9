package graphsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"
)

// answer is what a handler gives: plain values that outlive the store's lock.
type answer struct {
	status int
	body   any // nil: none
	header http.Header
	text   string // instead of body: text/plain, for /$count
}

func ok(body map[string]any) *answer { return &answer{status: http.StatusOK, body: body} }

func noContent() *answer { return &answer{status: http.StatusNoContent} }

// contentType is how Graph labels OData answers.
const contentType = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

func (s *Server) write(w http.ResponseWriter, a *answer, ids requestIDs, err error) {
	h := w.Header()
	h.Set("request-id", ids.request)
	h.Set("client-request-id", ids.client)
	now := s.cfg.Store.Now().UTC()
	h.Set("Date", now.Format(http.TimeFormat))
	h.Set("Cache-Control", "no-cache")
	h.Set("OData-Version", "4.0")
	if err != nil {
		a = s.refusal(err, ids, now)
	}
	maps.Copy(h, a.header)
	switch {
	case a.text != "":
		h.Set("Content-Type", "text/plain")
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.text)) //nolint:gosec // a number, and not HTML
	case a.body != nil:
		h.Set("Content-Type", contentType)
		if err != nil {
			h.Set("Content-Type", "application/json")
		}
		w.WriteHeader(a.status)
		_, _ = w.Write(s.encode(a.body))
	default:
		w.WriteHeader(a.status)
	}
}

// refusal is an error in Graph's form ("Error responses and resource types").
func (s *Server) refusal(err error, ids requestIDs, now time.Time) *answer {
	var f *fault
	if !errors.As(err, &f) {
		f = refuse(http.StatusInternalServerError, "InternalServerError", "The lab stumbled: %v", err)
	}
	return &answer{status: f.status, header: f.header, body: map[string]any{"error": map[string]any{
		"code": f.code, "message": f.message,
		"innerError": map[string]any{"date": now.Format("2006-01-02T15:04:05"), "request-id": ids.request, "client-request-id": ids.client},
	}}}
}

// encode writes JSON; with [Config.Random] the members of objects come in any
// order, as JSON allows.
func (s *Server) encode(v any) []byte {
	var b bytes.Buffer
	s.encodeTo(&b, v)
	return b.Bytes()
}

func (s *Server) encodeTo(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		s.shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		b.WriteByte('{')
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			leaf(b, name)
			b.WriteByte(':')
			s.encodeTo(b, v[name])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			s.encodeTo(b, item)
		}
		b.WriteByte(']')
	default:
		leaf(b, v)
	}
}

func leaf(b *bytes.Buffer, v any) {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // strings, numbers, truth values, times and nil always encode
	b.Truncate(b.Len() - 1)
}

// shuffle is Fisher and Yates's, with the server's own randomness.
func (s *Server) shuffle(n int, swap func(i, j int)) {
	if s.cfg.Random == nil {
		return
	}
	for i := n - 1; i > 0; i-- {
		swap(i, int(s.cfg.Random()%uint64(i+1)))
	}
}

// chance is true once in n times, never without randomness.
func (s *Server) chance(n uint64) bool { return s.cfg.Random != nil && s.cfg.Random()%n == 0 }
