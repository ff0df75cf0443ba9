package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Whatever a stream holds, the reader ends, passes on nothing but events, and
// stops when it is told to.
func FuzzReadEvents(f *testing.F) {
	for _, text := range []string{
		"", ": events follow\n\n", "id: 1\ndata: {\"id\":\"1\",\"topic\":\"tenant/1\",\"data\":{}}\n\n", "data:{}\n\ndata: {\"reload\":true}\n\n", "data: {", "data: null\n\n", "data\n\n", "event: x\r\ndata: {}\r\n\r\n",
		"data: {\"at\":\"yesterday\"}\n\n", strings.Repeat("x", maxEvent+1), "data: {\"data\":[[[[]]]]}\n\n\x00",
	} {
		f.Add([]byte(text), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, most int) {
		enough := errors.New("enough")
		seen := 0
		err := readEvents(bytes.NewReader(data), func(data []byte) error {
			return readEvent(data, func(e Event) error {
				if seen++; seen == most {
					return enough
				}
				if _, err := json.Marshal(e); err != nil {
					t.Errorf("%+v cannot be written again: %v", e, err)
				}
				return nil
			})
		})
		if most > 0 && (seen > most || seen == most && !errors.Is(err, enough)) {
			t.Errorf("%d events, %v; it was to stop after %d", seen, err, most)
		}
		if lines := bytes.Count(data, []byte("data:")); seen > lines {
			t.Errorf("%d events of %d", seen, lines)
		}
	})
}

// Whoever answers, what comes of it is a problem with the status and something
// to read, bounded in size.
func FuzzReadProblem(f *testing.F) {
	for _, text := range []string{"", "{}", "null", `{"type":"urn:gatehouse:problem:invalid","faults":[{"field":"name"}]}`, `{"type":"a","diagnosis":{"title":"x","remedies":null}}`, "<html>", `{"type":1}`, `{"type":"x","retry_after":-1,"status":"200"}`, `{"type":"x"} {"type":"y"}`} {
		f.Add([]byte(text), 400)
	}
	f.Fuzz(func(t *testing.T, data []byte, status int) {
		err := readProblem(&http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(data))})
		var p *Problem
		if !errors.As(err, &p) || p.Status != status || p.Type == "" {
			t.Fatalf("%d %q gives %+v", status, data, err)
		}
		if text := p.Error(); len(text) > 2*len(data)+200 {
			t.Errorf("%d bytes of %d", len(text), len(data))
		}
		for name, values := range p.GetHeaders() {
			if strings.ContainsAny(values[0], "\r\n") {
				t.Errorf("%s: %q", name, values)
			}
		}
	})
}

// answering is a client of a server that answers so.
func answering(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	c, err := New(s.URL, WithToken("token"), WithHTTPClient(s.Client()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A POST whose answer was lost is made once more, with the same key and body;
// nothing else is made twice, and nothing a third time.
func TestLostAnswers(t *testing.T) {
	type request struct{ key, body string }
	asked := make(chan request, 100)
	lose := make(chan bool, 100)
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked <- request{r.Header.Get("Idempotency-Key"), string(body)}
		if <-lose {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, `{"id":"1"}`)
	})
	lose <- true
	lose <- false
	got, err := c.AddTenant(t.Context(), TenantRequest{Tenant: "contoso.example"})
	first, second := <-asked, <-asked
	if err != nil || got.ID != "1" || first.key == "" || first != second || !strings.Contains(first.body, "contoso.example") {
		t.Errorf("%+v %v %q %q", got, err, first, second)
	}
	for range cap(lose) {
		lose <- true
	}
	_, err = c.AddTenant(t.Context(), TenantRequest{})
	n := len(asked) // net/http itself repeats what has a key, once for a connection that was idle
	if third := <-asked; err == nil || n < 2 || n > 4 || third.key == first.key {
		t.Errorf("always lost: %v, asked %d times", err, n)
	}
	for range n - 1 {
		<-asked
	}
	if _, err := c.ChangeTenant(t.Context(), "1", TenantChange{}); err == nil || len(asked) != 1 || (<-asked).key != "" {
		t.Errorf("a PATCH: %v, asked %d times", err, len(asked)+1)
	}
}

// A request that was given up is not made again.
func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int32
	left := make(chan struct{})
	c := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the client leave
		cancel()
		<-r.Context().Done()
		close(left)
	})
	if _, err := c.AddTenant(ctx, TenantRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	<-left
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// What is not from Gatehouse is told so; what is, with its type.
func TestProblems(t *testing.T) {
	for body, want := range map[string]string{"<html>": "about:blank", `{"type":"` + ProblemConflict + `","status":200,"detail":"taken"}`: ProblemConflict} {
		c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, body)
		})
		_, err := c.Tenant(t.Context(), "1")
		var p *Problem
		if !errors.As(err, &p) || p.Type != want || p.Status != http.StatusConflict || p.Error() == "" {
			t.Errorf("%s: %+v", body, err)
		}
	}
}

// The stream is asked for from the last event on, and its end, a refusal and a
// broken line are told apart.
func TestEvents(t *testing.T) {
	var asked *http.Request
	text := ": events follow\n\nid: 2\ndata: {\"id\":\"2\",\"topic\":\"job\",\"data\":{\"id\":7}}\n\n"
	status := http.StatusOK
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	})
	var seen []Event
	follow := func() error {
		return c.Events(t.Context(), "1", []string{"job", "tenant/1"}, func(e Event) error { seen = append(seen, e); return nil })
	}
	if err := follow(); err != nil || len(seen) != 1 || seen[0].ID != "2" || string(seen[0].Data) != `{"id":7}` {
		t.Errorf("%v %+v", err, seen)
	}
	if asked.Header.Get("Last-Event-ID") != "1" || asked.URL.RawQuery != "topic=job&topic=tenant%2F1" || asked.Header.Get("Authorization") != "Bearer token" {
		t.Errorf("%s %v", asked.URL, asked.Header)
	}
	text = "data: {\n\n"
	if err := follow(); err == nil || !strings.Contains(err.Error(), "reading events") {
		t.Errorf("a broken line: %v", err)
	}
	text, status = "", http.StatusUnauthorized
	var p *Problem
	if err := follow(); !errors.As(err, &p) || p.Status != http.StatusUnauthorized {
		t.Errorf("refused: %v", err)
	}
}

// Ids are escaped, so that none leads to another address.
func TestPaths(t *testing.T) {
	var asked string
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.RequestURI
		fmt.Fprint(w, "{}")
	})
	if _, err := c.Tenant(t.Context(), "../operators?x=1#y"); err != nil || asked != "/api/v1/tenants/..%2Foperators%3Fx=1%23y" {
		t.Errorf("%s %v", asked, err)
	}
}

// Only what is an address of a server is one.
func TestAddresses(t *testing.T) {
	for address, good := range map[string]bool{
		"https://gatehouse.example": true, "https://gatehouse.example/": true, "http://localhost:8443": true, "gatehouse.example": false, "": false, "ftp://gatehouse.example": false,
		"https://gatehouse.example/api": false, "https://me@gatehouse.example": false, "https://gatehouse.example?x=1": false,
	} {
		if _, err := New(address); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// A validation is waited for, as long as the context allows.
func TestValidate(t *testing.T) {
	states := []string{"queued", "running", "running", "done"}
	asked := 0
	c := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"id":"7","state":%q,"probes":[]}`, states[min(asked, len(states)-1)])
		asked++
	})
	if v, err := c.Validate(t.Context(), "1"); err != nil || v.State != "done" || asked != 4 {
		t.Errorf("%+v %v after %d", v, err, asked)
	}
	states, asked = []string{"running"}, 0
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if v, err := c.Validate(ctx, "1"); !errors.Is(err, context.DeadlineExceeded) || v.Ended() {
		t.Errorf("%+v %v", v, err)
	}
}
