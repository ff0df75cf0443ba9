package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/sqldb/dbtest"
)

// A request that cannot be read is refused as a problem, whatever is the matter
// with it, and before anything is done.
func TestUnreadable(t *testing.T) {
	h := newHouse(t, dbtest.Open(t, dbtest.SQLite(t)))
	ada := h.administrator()
	large := `{"email":"` + strings.Repeat("x", 300<<10) + `"}`
	file := `{"file":"` + strings.Repeat("x", 300<<10) + `","unknown":1}` // which is seen only once it was read
	const people = "/api/v1/operators"
	for name, test := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		kind               string
	}{
		"too large":                    {"POST", people, large, nil, 413, client.ProblemBadRequest},
		"too large, with a key":        {"POST", people, large, []string{key, "k"}, 413, client.ProblemBadRequest},
		"large, where that is taken":   {"POST", "/api/v1/campaigns/1/people", file, []string{key, "m"}, 422, client.ProblemInvalid},
		"larger than a file":           {"POST", "/api/v1/campaigns/1/people", strings.Repeat(" ", maxPeople+1), []string{key, "n"}, 413, client.ProblemBadRequest},
		"too large, signing in":        {"POST", "/api/v1/session", large, nil, 413, client.ProblemBadRequest},
		"a snapshot too large":         {"PUT", "/api/v1/tenants/1/snapshot", strings.Repeat(" ", maxSnapshot+1), nil, 413, client.ProblemBadRequest},
		"a large body where none is":   {"POST", "/api/v1/audit/verify", large, []string{key, "l"}, 413, client.ProblemBadRequest},
		"another form":                 {"POST", people, "email=a", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, client.ProblemBadRequest},
		"no JSON":                      {"POST", people, "{", nil, 400, client.ProblemBadRequest},
		"something after it":           {"POST", people, `{"email":"a@b.example","name":"A"} {}`, nil, 400, client.ProblemBadRequest},
		"too deep":                     {"POST", people, strings.Repeat("[", 20_000), nil, 400, client.ProblemBadRequest},
		"nothing":                      {"POST", people, "", nil, 400, client.ProblemBadRequest},
		"an array":                     {"POST", people, "[]", nil, 422, client.ProblemInvalid},
		"null":                         {"POST", people, "null", nil, 422, client.ProblemInvalid},
		"an unknown member":            {"POST", people, `{"email":"a@b.example","name":"A","admin":true}`, nil, 422, client.ProblemInvalid},
		"a member of another type":     {"POST", people, `{"email":7,"name":"A"}`, nil, 422, client.ProblemInvalid},
		"an unknown parameter":         {"GET", "/api/v1/jobs?page=2", "", nil, 422, client.ProblemInvalid},
		"a parameter that is none":     {"GET", "/api/v1/jobs?limit=many", "", nil, 422, client.ProblemInvalid},
		"a parameter beyond its bound": {"GET", "/api/v1/jobs?limit=201", "", nil, 422, client.ProblemInvalid},
		"a parameter left out":         {"GET", "/api/v1/tenants/detect", "", nil, 422, client.ProblemInvalid},
		"a time that is none":          {"GET", "/api/v1/audit?from=yesterday", "", nil, 422, client.ProblemInvalid},
		"a choice that is none":        {"GET", "/api/v1/audit?outcome=fine", "", nil, 422, client.ProblemInvalid},
		"too many of a parameter":      {"GET", "/api/v1/events?" + strings.Repeat("topic=a&", 21), "", nil, 422, client.ProblemInvalid},
		"a cursor of nowhere":          {"GET", "/api/v1/jobs?after=x", "", nil, 422, client.ProblemInvalid},
		"an id that is no number":      {"GET", "/api/v1/jobs/x", "", nil, 422, client.ProblemInvalid},
		"no such address":              {"GET", "/api/v1/nowhere", "", nil, 404, client.ProblemNotFound},
		"no such method":               {"PATCH", people, "{}", nil, 405, client.ProblemMethod},
	} {
		a := h.ask("203.0.113.1", ada.token, test.method, test.path, test.body, test.headers...)
		p := a.problem(t)
		if a.status != test.status || p.Type != test.kind || p.Title == "" || p.Detail == "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if test.kind == client.ProblemInvalid && (len(p.Faults) == 0 || p.Faults[0].Problem == "") {
			t.Errorf("%s: no fault: %s", name, a.body)
		}
		if test.status == 405 && !strings.Contains(a.header.Get("Allow"), "POST") {
			t.Errorf("Allow: %q", a.header.Get("Allow"))
		}
	}
	if n := h.people(ada); n != 1 {
		t.Errorf("%d operators, want 1", n)
	}
}

// What was sent is not in the answer: it may be a password in the wrong place.
func TestNoEcho(t *testing.T) {
	h := newHouse(t, dbtest.Open(t, dbtest.SQLite(t)))
	for _, body := range []string{`{"email":["hunter2hunter2"],"password":7}`, `{"email":"a@b.example","password":["hunter2hunter2"]}`, `{"password":"hunter2hunter2`, `{"email":"a@b.example","password":"hunter2hunter2"}`} {
		a := h.ask("203.0.113.1", "", "POST", "/api/v1/session", body)
		if a.status < 400 || strings.Contains(a.body, "hunter2") {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// Titles, types and the way they are written belong together.
func TestProblemForm(t *testing.T) {
	for kind, title := range titles {
		p := problem(http.StatusTeapot, kind, "detail")
		p.RetryAfter = 3
		data, err := json.Marshal(p)
		if err != nil || title == "" || !strings.Contains(string(data), `"title":"`+title+`"`) || p.GetHeaders().Get("Retry-After") != "3" {
			t.Errorf("%s: %s %v", kind, data, err)
		}
	}
}
