package graphsim

import (
	"errors"
	"maps"
	"net/http"
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

//go:noinline
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
		_, _ = w.Write(s.cfg.Random.JSON(a.body)) //nolint:gosec // JSON, and sent as JSON
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
