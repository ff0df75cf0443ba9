package api_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/testenv"
)

// unfit are texts that no name, id or cursor is, and that PostgreSQL refuses or
// SQLite cuts off.
var unfit = map[string]string{"a null sign": "a\x00b", "no UTF-8": "a\xffb", "a quote": "a'b\"c", "too much": strings.Repeat("long ", 2_000)}

// Whatever stands in a path, a parameter or a body, the answer is one that the
// document promises and never "internal".
func TestHostile(t *testing.T) {
	t.Parallel()
	testenv.Each(t, func(t *testing.T, e *testenv.Env) {
		w := newWalk(t, e)
		for _, op := range operations(t) {
			if strings.HasPrefix(op.id, "remove-") || op.permission == "none" || op.permission == "session" {
				continue // what follows needs the objects; signing in has a test of its own
			}
			for name, text := range unfit {
				w.hostile(op, name, text)
			}
		}
	})
}

func (w *walk) hostile(op operation, name, text string) {
	path := strings.NewReplacer("{id}", w.object(op), "{tenant}", w.tenant).Replace(op.path)
	good := requests[op.id]
	body := strings.ReplaceAll(good.body, "{tenant}", w.tenant)
	try := func(where, path, body string) {
		status, answer := w.send(op, w.Token(), path, body)
		if status >= 500 && status != http.StatusBadGateway {
			w.t.Errorf("%s with %s in %s: %d %s", op.id, name, where, status, answer)
		}
	}
	if len(text) < 1000 { // longer headers are not read at all
		for _, slot := range []string{"{id}", "{tenant}"} {
			if strings.Contains(op.path, slot) {
				try(slot, strings.NewReplacer(slot, url.PathEscape(text), "{id}", w.object(op), "{tenant}", w.tenant).Replace(op.path)+good.query, body)
			}
		}
		for _, p := range op.parameters {
			if p.In == "query" {
				try("the parameter "+p.Name, path+"?"+url.Values{p.Name: {text}}.Encode(), body)
			}
		}
	}
	var members map[string]any
	if body == "" || json.Unmarshal([]byte(body), &members) != nil {
		return
	}
	for _, m := range slices.Sorted(maps.Keys(members)) {
		changed := maps.Clone(members)
		changed[m] = text
		try("the member "+m, path+good.query, w.encode(changed))
		changed[m] = map[string]any{text: text}
		try("a map as the member "+m, path+good.query, w.encode(changed))
		changed[m] = []any{text}
		try("a list as the member "+m, path+good.query, w.encode(changed))
	}
}

// What the server refuses before the API is asked is a problem as well.
func TestRefusedBefore(t *testing.T) {
	e := testenv.Bare(t)
	for name, test := range map[string]struct {
		header, value string
		status        int
	}{
		"another name for us": {"Host", "evil.example", http.StatusMisdirectedRequest},
		"another site's form": {"Sec-Fetch-Site", "cross-site", http.StatusForbidden},
		"another origin":      {"Origin", "https://evil.example", http.StatusForbidden},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL+"/api/v1/session", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if r.Header.Set(test.header, test.value); test.header == "Host" {
			r.Host = test.value
		}
		response, err := e.HTTP().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != test.status {
			t.Errorf("%s: %s %v", name, response.Status, err)
		}
		checkProblem(t, name, response, body)
	}
}

// encode leaves bytes that are no UTF-8 as they are.
func (w *walk) encode(members map[string]any) string {
	w.t.Helper()
	data, err := json.Marshal(members)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), `\ufffd`, "\xff")
}
