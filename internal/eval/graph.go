package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// graphExample is one documented call.
type graphExample struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Status  int    `json:"status"`
	Request any    `json:"requestBody"`
	Body    any    `json:"body"`

	file string
}

// documented are the objects of the example's answer, none if it has no body.
func (x *graphExample) documented() []map[string]any {
	if x.Status == http.StatusNoContent {
		return nil
	}
	return entities(x.Body)
}

// graphTotals counts examples.
type graphTotals struct{ ok, wrong, apart, bare, members, queries, refused int }

// evalGraph holds the answers of the lab's Graph against documented ones: the
// status is the documented one, and every documented member is there with the
// documented type.
func evalGraph(dir string, w io.Writer) error {
	examples, err := readGraphExamples(filepath.Join(dir, "graph-examples"))
	if err != nil {
		return err
	}
	reading, err := startGraph()
	if err != nil {
		return err
	}
	defer reading.lab.Close()
	var total graphTotals
	for _, x := range examples {
		g := reading
		if x.Method != http.MethodGet { // what is written would stand in the others' way
			if g, err = startGraph(); err != nil {
				return err
			}
		}
		err := g.judge(x, w, &total)
		if g != reading {
			_ = g.lab.Close() // the answer has been read
		}
		if err != nil {
			return fmt.Errorf("asking for %s: %w", x.file, err)
		}
	}
	fmt.Fprintf(w, "%d examples: %d agree (%d members compared, %d answers without body), %d differ, %d of resources not simulated; %d of %d documented queries accepted as written\n",
		len(examples), total.ok, total.members, total.bare, total.wrong, total.apart, total.queries-total.refused, total.queries)
	if total.wrong > 0 {
		return fmt.Errorf("%w: %d examples differ", errBar, total.wrong)
	}
	return nil
}

func readGraphExamples(folder string) ([]graphExample, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("reading examples: none in %s", folder)
	}
	var out []graphExample
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading example: %w", err)
		}
		x := graphExample{file: strings.TrimSuffix(filepath.Base(file), ".json")}
		if err := json.Unmarshal(data, &x); err != nil {
			return nil, fmt.Errorf("reading example %s: %w", x.file, err)
		}
		out = append(out, x)
	}
	return out, nil
}

// judge compares one example and prints a line.
func (g *simulated) judge(x graphExample, w io.Writer, total *graphTotals) error {
	line := func(format string, args ...any) {
		fmt.Fprintf(w, "%-100s %s\n", x.file, fmt.Sprintf(format, args...))
	}
	bare, rawQuery, _ := strings.Cut(x.Path, "?")
	if shown := x.documented(); len(shown) > 0 {
		g.wanted = shown[0]["@odata.type"]
	} else if sent, isObject := x.Request.(map[string]any); isObject {
		g.wanted = sent["@odata.type"]
	}
	path, err := g.path(x.Method, bare)
	if err != nil {
		return err
	}
	if path == "" {
		total.apart++
		line("not simulated: the lab has no such route, or nothing to show there")
		return nil
	}
	if x.Method == http.MethodGet && rawQuery != "" {
		total.queries++
		if status, body, err := g.ask(x.Method, path, strings.ReplaceAll(rawQuery, " ", "%20"), nil); err != nil {
			return err
		} else if status != http.StatusOK {
			total.refused++
			fmt.Fprintf(w, "%-100s   as written refused: %s\n", x.file, problem(body))
		}
	}
	status, body, err := g.answer(x, path, rawQuery)
	if err != nil {
		return err
	}
	if reason := unknownToLab(status, body); reason != "" {
		total.apart++
		line("not simulated: %s", reason)
		return nil
	}
	if status != x.Status {
		total.wrong++
		line("DIFFERS: status %d instead of %d: %s", status, x.Status, problem(body))
		return nil
	}
	if len(x.documented()) == 0 {
		total.ok++
		total.bare++
		line("ok, status %d", status)
		return nil
	}
	found := comparison{}
	found.entities("", x.documented(), entities(body))
	total.members += found.members
	if len(found.missing)+len(found.types) > 0 {
		total.wrong++
		line("DIFFERS: missing %v, other type %v", found.missing, found.types)
		return nil
	}
	total.ok++
	line("ok, %d members%s", found.members, found.remarks())
	return nil
}

// unknownToLab says why an answer means that the lab does not have the resource
// or the expansion at all, "" if it has.
func unknownToLab(status int, body map[string]any) string {
	text := problem(body)
	switch {
	case status == http.StatusMethodNotAllowed, status == http.StatusBadRequest && strings.Contains(text, "Nothing is known under the segment"):
		return "the lab has no such route"
	case status == http.StatusBadRequest && strings.Contains(text, "$expand of"):
		return "the lab does not expand this"
	}
	return ""
}

func problem(body map[string]any) string {
	e, _ := body["error"].(map[string]any)
	return fmt.Sprint(e["code"], ": ", e["message"])
}

// answer asks the same kind of question, about what the lab's tenant has.
// Conditions of the query that fit the example's data only are left out.
func (g *simulated) answer(x graphExample, path, rawQuery string) (int, map[string]any, error) {
	if x.Method != http.MethodGet {
		return g.ask(x.Method, path, "", g.bodyOf(x, path))
	}
	query := url.Values{}
	for part := range strings.SplitSeq(rawQuery, "&") {
		if name, value, ok := strings.Cut(part, "="); ok && strings.Contains(strings.ToLower(name), "expand") {
			query.Set("$expand", value)
		} else if ok && strings.Contains(strings.ToLower(name), "count") {
			query.Set("$count", "true")
		}
	}
	status, body, err := g.ask(x.Method, path, query.Encode(), nil)
	if err != nil || status != http.StatusOK {
		return status, body, err
	}
	// Members that are not given by default are asked for by name.
	have := entities(body)
	var selected []string
	for _, d := range x.documented() {
		for name := range d {
			if !strings.Contains(name, "@") && !slices.ContainsFunc(have, func(h map[string]any) bool { _, there := h[name]; return there }) {
				selected = append(selected, name)
			}
		}
	}
	if len(selected) == 0 {
		return status, body, nil
	}
	query.Set("$select", strings.Join(slices.Compact(slices.Sorted(slices.Values(selected))), ","))
	more, extra, err := g.ask(x.Method, path, query.Encode(), nil)
	if err != nil || more != http.StatusOK {
		return status, body, err // reported as missing
	}
	for i, e := range entities(extra) {
		if i < len(have) {
			maps.Copy(have[i], e)
		}
	}
	return status, body, nil
}
