package api_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/api"
	"gatehouse/internal/audit"
	"gatehouse/internal/testenv"
)

var update = flag.Bool("update", false, "write testdata/api.txt anew")

// schema is as much of a JSON schema as the document uses.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"`
	Format     string             `json:"format"`
	Enum       []any              `json:"enum"`
	Items      *schema            `json:"items"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Additional any                `json:"additionalProperties"`
	MaxLength  *int               `json:"maxLength"`
	MaxItems   *int               `json:"maxItems"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
}

// word tells a schema in few words.
func (s *schema) word() string {
	if s == nil {
		return "any"
	}
	if s.Ref != "" {
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	}
	text := strings.Trim(fmt.Sprint(s.Type), "[]")
	if s.Type == nil {
		text = "any"
	}
	if s.Items != nil {
		text += " of " + s.Items.word()
	}
	if values, ok := s.Additional.(map[string]any); ok {
		text += fmt.Sprint(" to ", values["type"])
	}
	for _, more := range []struct {
		name  string
		value any
		set   bool
	}{
		{"", s.Format, s.Format != ""}, {"", s.Enum, s.Enum != nil}, {"≤", deref(s.MaxLength), s.MaxLength != nil}, {"items≤", deref(s.MaxItems), s.MaxItems != nil},
		{"≥", deref(s.Minimum), s.Minimum != nil}, {"≤", deref(s.Maximum), s.Maximum != nil},
	} {
		if more.set {
			text += fmt.Sprintf(" %s%v", more.name, more.value)
		}
	}
	return text
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

type document struct {
	Paths map[string]map[string]*struct {
		ID         string                `json:"operationId"`
		Permission string                `json:"x-permission"`
		Security   []map[string][]string `json:"security"`
		Parameters []struct {
			Name, In string
			Required bool
			Schema   *schema
		}
		RequestBody *struct{ Content contents } `json:"requestBody"`
		Responses   map[string]struct{ Content contents }
	}
	Components struct{ Schemas map[string]*schema }
}

type contents map[string]struct{ Schema *schema }

func (c contents) word() string {
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(c)) {
		all = append(all, strings.TrimPrefix(kind, "application/json")+c[kind].Schema.word())
	}
	return strings.Join(all, " ")
}

func readDocument(t *testing.T) (d document) {
	t.Helper()
	data, err := api.Document("test")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// outline is the document without its prose.
func (d document) outline() string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			op := d.Paths[path][method]
			fmt.Fprintf(&b, "%s %s\n  %s, permission %s\n", strings.ToUpper(method), path, op.ID, op.Permission)
			for _, p := range op.Parameters {
				fmt.Fprintf(&b, "  %s %s%s: %s\n", p.In, p.Name, mark(p.Required), p.Schema.word())
			}
			if op.RequestBody != nil {
				fmt.Fprintf(&b, "  body %s\n", op.RequestBody.Content.word())
			}
			var refused []string
			for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
				if status < "300" {
					fmt.Fprintf(&b, "  %s %s\n", status, op.Responses[status].Content.word())
				} else {
					refused = append(refused, status)
				}
			}
			fmt.Fprintf(&b, "  refused %s\n\n", strings.Join(refused, " "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		s := d.Components.Schemas[name]
		fmt.Fprintf(&b, "%s\n", name)
		for _, member := range slices.Sorted(maps.Keys(s.Properties)) {
			fmt.Fprintf(&b, "  %s%s: %s\n", member, mark(slices.Contains(s.Required, member)), s.Properties[member].word())
		}
		b.WriteString("\n")
	}
	return b.String()
}

func mark(required bool) string {
	if required {
		return ""
	}
	return "?"
}

// The API is a promise: what changes in it has a line in the change log, and
// shows here. `go test ./internal/api -run TestOutline -update` writes it anew.
func TestOutline(t *testing.T) {
	file := filepath.Join("testdata", "api.txt")
	got := readDocument(t).outline()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, after := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(before), len(after)) {
		if i >= len(before) || i >= len(after) || before[i] != after[i] {
			t.Fatalf("line %d of the outline is\n\t%s\nin %s it is\n\t%s", i+1, line(after, i), file, line(before, i))
		}
	}
}

func line(all []string, i int) string {
	if i < len(all) {
		return all[i]
	}
	return "(the end)"
}

// Every operation declares who may call it and with what it may be refused, and
// every refusal is a problem.
func TestDeclared(t *testing.T) {
	for path, methods := range readDocument(t).Paths {
		for method, op := range methods {
			open := op.Permission == "none"
			if _, known := audit.Least(audit.Permission(op.Permission)); !known && !slices.Contains([]string{"none", "session"}, op.Permission) {
				t.Errorf("%s: permission %q", op.ID, op.Permission)
			}
			if _, session := op.Security[0]["session"]; len(op.Security) != 1 || session == open {
				t.Errorf("%s: security %v, permission %s", op.ID, op.Security, op.Permission)
			}
			want := []string{"400", "401", "403", "421", "429", "500", "503"}
			if strings.Contains(path, "{") {
				want = append(want, "404", "409", "422")
			}
			if method != "get" {
				want = append(want, "409")
			}
			if op.RequestBody != nil {
				want = append(want, "408", "413", "415")
			}
			if repeatable := method == "post" && !open && op.Permission != "session" && op.ID != "new-token"; repeatable { // a token of before may have ended
				want = append(want, "413")
				if op.Parameters[0].Name != "Idempotency-Key" {
					t.Errorf("%s: no idempotency key", op.ID)
				}
			}
			for _, status := range want {
				if _, ok := op.Responses[status]; !ok {
					t.Errorf("%s does not declare %s", op.ID, status)
				}
			}
			for status, response := range op.Responses {
				if status >= "400" && (len(response.Content) != 1 || response.Content["application/problem+json"].Schema.word() != "Problem") {
					t.Errorf("%s: %s is %s", op.ID, status, response.Content.word())
				}
			}
		}
	}
}

// servedDocument wants the same document from the server, with its own address.
func servedDocument(t *testing.T, e *testenv.Env) {
	t.Helper()
	response, err := e.HTTP().Get(e.URL + "/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var served, printed map[string]any
	if err := json.NewDecoder(response.Body).Decode(&served); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %v", response.Status, err)
	}
	data, err := api.Document("test")
	if err == nil {
		err = json.Unmarshal(data, &printed)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(served["servers"]); !strings.Contains(got, e.URL) {
		t.Errorf("servers %s", got)
	}
	delete(served, "servers")
	delete(printed, "servers")
	if fmt.Sprint(served) != fmt.Sprint(printed) {
		t.Error("the server's document is another than the one that is printed")
	}
}

// problemTypes wants a title on the page for every type of problem that package
// client names.
func problemTypes(t *testing.T, e *testenv.Env) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", "client", "problem.go"))
	if err != nil {
		t.Fatal(err)
	}
	page, n := fetch(t, e, "/api/docs"), 0
	for text := range strings.SplitSeq(string(source), `"`) {
		if strings.HasPrefix(text, "urn:gatehouse:problem:") {
			n++
			if !strings.Contains(page, "<dt><code>"+text+"</code></dt>") {
				t.Errorf("%s has no title", text)
			}
		}
	}
	if n < 15 || !strings.Contains(page, client.ProblemBusy) {
		t.Errorf("%d types", n)
	}
}
