package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/sqldb/dbtest"
)

// listener reads a stream over HTTP/1.1.
type listener struct {
	*testing.T
	lines *bufio.Scanner
	end   context.CancelFunc
}

// serve puts the face behind a real server, with as short a time to read
// requests in as a test wants.
func (h *house) serve(read time.Duration) *httptest.Server {
	h.Helper()
	server := httptest.NewUnstartedServer(h.handler)
	server.Config.ReadTimeout = read
	server.Start()
	h.Cleanup(server.Close)
	return server
}

// listen opens the stream; it has begun when the function returns.
func listen(t *testing.T, address, token, last string) *listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" || response.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v", response.Status, response.Header)
	}
	l := &listener{t, bufio.NewScanner(response.Body), cancel}
	if !l.lines.Scan() || !strings.HasPrefix(l.lines.Text(), ":") {
		t.Fatalf("the stream does not begin: %q %v", l.lines.Text(), l.lines.Err())
	}
	return l
}

// next is the next event, with the id that its lines have; false at the end.
func (l *listener) next() (e client.Event, ok bool) {
	l.Helper()
	id := ""
	for l.lines.Scan() {
		if text, found := strings.CutPrefix(l.lines.Text(), "id: "); found {
			id = text
		}
		if data, found := strings.CutPrefix(l.lines.Text(), "data: "); found {
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				l.Fatal(err)
			}
			if e.ID != id {
				l.Errorf("the id is %q in its line and %q in the data", id, e.ID)
			}
			return e, true
		}
	}
	return e, false
}

// A stream goes on after the last event that was seen, says so if it cannot,
// and shows nothing of what its reader may not see.
func TestStreamResumes(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		if h.DB.Postgres() { // events come through notifications
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); h.Live.Run(ctx) }()
			t.Cleanup(func() { stop(); <-ended })
			<-h.Live.Listening()
		}
		ada := h.administrator()
		link := get[client.Invitation](t, h.ask("203.0.113.1", ada.token, "POST", "/api/v1/operators", encoded(t, client.InviteRequest{Email: "eve@contoso.example", Name: "Eve", Roles: map[string]string{"mine": "viewer"}}))).Link
		eve := h.setUp("203.0.113.1", link, "")
		address := h.serve(0).URL

		first := listen(t, address, eve.token, "")
		h.publish("other", 0)
		h.publish("mine", 1)
		seen, _ := first.next()
		if string(seen.Data) != "1" || seen.TenantID != "mine" || seen.Topic != "tenant/mine" || seen.ID == "" || seen.At.IsZero() {
			t.Fatalf("%+v", seen)
		}
		first.end()

		h.publish("mine", 2)
		h.publish("other", 3)
		h.publish("mine", 4)
		second := listen(t, address, eve.token, seen.ID)
		h.publish("mine", 5)
		// What began within half a minute of the last event may come once more.
		missed := map[string]bool{}
		for len(missed) < 3 {
			e, ok := second.next()
			if !ok || e.TenantID != "mine" || e.ID == seen.ID {
				t.Fatalf("%+v after %s", e, seen.ID)
			}
			missed[string(e.Data)] = true
		}
		if !missed["2"] || !missed["4"] || !missed["5"] {
			t.Errorf("missed are %v", missed)
		}

		lost := listen(t, address, eve.token, "00000000-0000-7000-8000-000000000000")
		if e, ok := lost.next(); !ok || !e.Reload {
			t.Errorf("after an event that nobody knows: %+v", e)
		}
		if e, ok := lost.next(); ok {
			t.Errorf("it goes on with %+v", e)
		}
	})
}

// A stream outlives the time in which a request has to be read, though over
// HTTP/1.1 that is a deadline of the connection.
func TestStreamOutlivesReading(t *testing.T) {
	h := newHouse(t, dbtest.Open(t, dbtest.SQLite(t)))
	h.beat = time.Hour
	ada := h.administrator()
	server := h.serve(200 * time.Millisecond)
	l := listen(t, server.URL, ada.token, "")
	// Whoever begins a request now and does not end it is cut off when the
	// stream's time has passed.
	slow, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: "); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, slow); err != nil {
		t.Fatal(err)
	}
	h.publish("any", 1)
	if e, ok := l.next(); !ok || string(e.Data) != "1" {
		t.Errorf("the stream was cut off: %+v %v", e, l.lines.Err())
	}
}

// A stream ends when its reader signs out, or may see other tenants than
// before.
func TestStreamEnds(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ada := h.administrator()
		invited := get[client.Invitation](t, h.ask("203.0.113.1", ada.token, "POST", "/api/v1/operators", encoded(t, client.InviteRequest{Email: "eve@contoso.example", Name: "Eve", Roles: map[string]string{"mine": "viewer"}})))
		eve := h.setUp("203.0.113.1", invited.Link, "")
		address := h.serve(0).URL
		ends := func(what string, token string, do func() answer) {
			t.Helper()
			l := listen(t, address, token, "")
			if a := do(); a.status != http.StatusNoContent {
				t.Fatalf("%s: %d %s", what, a.status, a.body)
			}
			if e, ok := l.next(); ok || l.lines.Err() != nil {
				t.Errorf("%s: the stream goes on with %+v, or broke off: %v", what, e, l.lines.Err())
			}
		}
		ends("another role", eve.token, func() answer {
			return h.ask("203.0.113.1", ada.token, "PUT", "/api/v1/operators/"+invited.Operator.ID+"/roles/more", `{"role":"viewer"}`)
		})
		ends("signing out", eve.token, func() answer { return h.ask("203.0.113.1", eve.token, "DELETE", "/api/v1/session", "") })
	})
}
