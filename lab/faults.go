package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/lab/internal/sts"
)

// Fault is something that goes wrong on purpose: with the requests that match,
// as often as asked.
type Fault struct {
	ID string `json:"id"`

	// Which requests. Empty members match all; Path is a pattern such as
	// "/v1.0/users/*" ("*" stands for one segment, "**" at the end for the rest).
	Service string `json:"service,omitempty"` // login, graph, federation …
	Method  string `json:"method,omitempty"`
	Path    string `json:"path,omitempty"`
	Grant   string `json:"grant_type,omitempty"` // of a token request
	Client  string `json:"client_id,omitempty"`  // of a token request
	User    string `json:"username,omitempty"`   // of a token request; of a refresh token its owner

	// What happens.
	Kind       string  `json:"kind"`                  // one of [FaultKinds]
	Status     int     `json:"status,omitempty"`      // with kind status: 429 by default; with kind html: 200
	RetryAfter *string `json:"retry_after,omitempty"` // with kind status: the header's value; left out: no header
	Delay      string  `json:"delay,omitempty"`       // with kind latency: a duration, 1s by default

	// How often.
	Times       int     `json:"times,omitempty"`       // 0: until it is removed
	Probability float64 `json:"probability,omitempty"` // 0: always

	delay time.Duration
}

// FaultKinds are the ways in which an answer can go wrong: late, refused,
// broken off before and within it, not JSON, a page of somebody else's, 200
// without a body; and, of the sign-in service, an access token that has expired
// already, owned up to by expires_in (expired) or not (stale).
var FaultKinds = []string{"latency", "status", "reset", "cut", "malformed", "html", "empty", "expired", "stale"}

func (f *Fault) check() error {
	if !slices.Contains(FaultKinds, f.Kind) {
		return fmt.Errorf("kind is %q, must be one of %s", f.Kind, strings.Join(FaultKinds, ", "))
	}
	if services := []string{loginService, graphService, sharePointService, businessCentralService, partnerCenterService, federationService}; f.Service != "" && !slices.Contains(services, f.Service) {
		return fmt.Errorf("service is %q, must be one of %s", f.Service, strings.Join(services, ", "))
	}
	if f.Path != "" {
		if _, err := path.Match(strings.TrimSuffix(f.Path, "/**"), "/"); err != nil || !strings.HasPrefix(f.Path, "/") {
			return fmt.Errorf("path is %q, must be a pattern such as /v1.0/users/*", f.Path)
		}
	}
	if f.Kind == "status" {
		if f.Status == 0 {
			f.Status = http.StatusTooManyRequests
		}
		if f.Status < 400 || f.Status > 599 {
			return fmt.Errorf("status is %d, must be from 400 to 599", f.Status)
		}
	}
	if f.Kind == "html" && f.Status != 0 && f.Status != http.StatusOK && (f.Status < 400 || f.Status > 599) {
		return fmt.Errorf("status is %d, must be 200 or from 400 to 599", f.Status)
	}
	if f.Kind == "expired" || f.Kind == "stale" {
		if f.Service == "" {
			f.Service = loginService
		}
		if f.Service != loginService {
			return fmt.Errorf("service is %q, must be %s: only it issues tokens", f.Service, loginService)
		}
	}
	if f.Kind == "latency" {
		f.delay = time.Second
		if f.Delay != "" {
			d, err := time.ParseDuration(f.Delay)
			if err != nil || d < 0 || d > 10*time.Minute {
				return fmt.Errorf("delay is %q, must be a duration up to 10m", f.Delay)
			}
			f.delay = d
		}
	}
	if f.Times < 0 || f.Probability < 0 || f.Probability > 1 {
		return errors.New("times must not be negative, probability must be from 0 to 1")
	}
	return nil
}

// matches reports whether the fault is for a request.
func (f *Fault) matches(e *Exchange) bool {
	return (f.Service == "" || f.Service == e.Service) && (f.Method == "" || strings.EqualFold(f.Method, e.Method)) && (f.Path == "" || pathMatches(f.Path, e.Path)) &&
		(f.Grant == "" || f.Grant == e.GrantType) && (f.Client == "" || strings.EqualFold(f.Client, e.ClientID)) && (f.User == "" || strings.EqualFold(f.User, e.Username))
}

func pathMatches(pattern, got string) bool {
	pattern, got = strings.ToLower(pattern), strings.ToLower(got)
	if prefix, ok := strings.CutSuffix(pattern, "/**"); ok {
		segments := strings.Count(prefix, "/")
		parts := strings.SplitAfterN(got, "/", segments+2)
		got, pattern = strings.TrimSuffix(strings.Join(parts[:min(len(parts), segments+1)], ""), "/"), prefix
	}
	ok, _ := path.Match(pattern, got)
	return ok
}

// faults are the faults in force.
type faults struct {
	mu   sync.Mutex
	list []*Fault
	last int
}

// add puts a fault in force and gives it an id.
func (s *faults) add(f Fault) (Fault, error) {
	if err := f.check(); err != nil {
		return f, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	f.ID = strconv.Itoa(s.last)
	s.list = append(s.list, &f)
	return f, nil
}

func (s *faults) all() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Fault{}
	for _, f := range s.list {
		out = append(out, *f)
	}
	return out
}

// remove takes a fault away, or all with id "". It reports whether there was one.
func (s *faults) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.list)
	s.list = slices.DeleteFunc(s.list, func(f *Fault) bool { return id == "" || f.ID == id })
	return len(s.list) < before || id == ""
}

// take gives the fault for a request, and counts it.
func (s *faults) take(e *Exchange) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.list {
		if !f.matches(e) || f.Probability > 0 && rand.Float64() >= f.Probability {
			continue
		}
		taken := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.list = slices.Delete(s.list, i, i+1)
			}
		}
		return &taken
	}
	return nil
}

// addressed are user names that carry their fault with them, so that a tool can
// be tried without any control call: temp503@…, temp429@…, temp429none@… (no
// Retry-After), slow5@… (seconds), reset@…, cut@…, malformed@…, html@….
var addressed = regexp.MustCompile(`^(?:temp(429|503)(none)?|slow(\d{1,2})|(reset|cut|malformed|html))@`)

func addressedFault(user string) *Fault {
	m := addressed.FindStringSubmatch(strings.ToLower(user))
	if m == nil {
		return nil
	}
	f := &Fault{ID: "address"}
	switch {
	case m[1] != "":
		f.Kind = "status"
		f.Status, _ = strconv.Atoi(m[1])
		if m[2] == "" {
			after := "2"
			f.RetryAfter = &after
		}
	case m[3] != "":
		seconds, _ := strconv.Atoi(m[3])
		f.Kind, f.delay = "latency", time.Duration(seconds)*time.Second
	default:
		f.Kind = m[4]
	}
	return f
}

// apply answers a request wrongly, with next giving the right answer where a
// part of it is needed.
func (f *Fault) apply(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch f.Kind {
	case "latency":
		timer := time.NewTimer(f.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	case "status":
		if f.RetryAfter != nil {
			w.Header().Set("Retry-After", *f.RetryAfter)
		}
		w.Header().Set("Content-Type", "application/json")
		code := map[int]string{http.StatusTooManyRequests: "TooManyRequests", http.StatusServiceUnavailable: "ServiceUnavailable"}[f.Status]
		if code == "" {
			code = "InternalServerError"
		}
		w.WriteHeader(f.Status)
		_, _ = fmt.Fprintf(w, `{"error":{"code":%q,"message":"The lab was asked to answer so."}}`, code)
	case "reset":
		panic(http.ErrAbortHandler) // closes the connection, as net/http documents
	case "html":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if f.Status != 0 {
			w.WriteHeader(f.Status)
		}
		_, _ = io.WriteString(w, "<!doctype html><html lang=\"en\"><title>Please sign in to this network</title><p>This is somebody else's page.</p></html>")
	case "empty":
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(http.StatusOK)
	case "expired", "stale":
		next.ServeHTTP(w, sts.Outdated(r, f.Kind == "expired"))
	case "cut", "malformed":
		whole := &held{header: w.Header(), status: http.StatusOK}
		next.ServeHTTP(whole, r)
		body := whole.body.Bytes()
		if f.Kind == "malformed" {
			// Complete as HTTP, broken as JSON.
			w.Header().Del("Content-Length")
			w.WriteHeader(whole.status)
			_, _ = w.Write(bytes.TrimRight(body, "}] \n"))
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(whole.status)
		_, _ = w.Write(body[:len(body)/2])
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// held keeps an answer back.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(p []byte) (int, error) { return h.body.Write(p) }

// formOf reads the form of a token request without taking it away, at most
// peek bytes of it.
func formOf(r *http.Request) url.Values {
	const peek = 64 << 10
	if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") || r.Body == nil {
		return nil
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, peek))
	rest := r.Body
	var tail io.Reader = rest
	if err != nil {
		tail = failing{err}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), tail), rest}
	form, _ := url.ParseQuery(string(head)) // what can be read of it
	return form
}

// failing repeats a read error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
