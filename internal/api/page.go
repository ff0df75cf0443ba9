package api

import (
	"context"
	_ "embed"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"
	"github.com/danielgtaylor/huma/v2"
)

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate

//go:embed page.css
var pageStyle []byte

// described is what the page shows.
type described struct {
	Version, Description string
	Sections             []section
	Types                []schema
	Problems             map[string]string
}

// operation is a line of the page.
type operation struct {
	Method, Path, Summary, Description, Permission, Anchor string
	Parameters                                             []parameter
	Body, Answer                                           []parameter
}

// parameter is a member of a type, too. Of is the type that its own is made of,
// if that is on the page.
type parameter struct{ Name, Where, Type, Of, Description string }

type schema struct {
	Name    string
	Members []parameter
}

type section struct {
	Name, Description string
	Operations        []operation
}

// openPage describes the API from its own document, without script and without
// anything from elsewhere.
func openPage(document *huma.OpenAPI) http.Handler {
	var b strings.Builder
	v := described{document.Info.Version, document.Info.Description, sections(document), types(document), titles}
	if err := page(v).Render(context.Background(), &b); err != nil {
		panic(err) // the document is ours
	}
	return static("text/html; charset=utf-8", []byte(b.String()))
}

func openStyle() http.Handler { return static("text/css; charset=utf-8", pageStyle) }

func openDocument(document *huma.OpenAPI) http.Handler {
	data, err := document.MarshalJSON()
	if err != nil {
		panic(err) // the document is ours
	}
	return static("application/json", data)
}

func static(kind string, data []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(data) // a lost connection: nobody is left to tell
	})
}

func sections(document *huma.OpenAPI) []section {
	var all []section
	for _, t := range document.Tags {
		s := section{Name: t.Name, Description: t.Description}
		for path, item := range document.Paths {
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
				if op != nil && slices.Contains(op.Tags, t.Name) {
					s.Operations = append(s.Operations, describe(document, path, op))
				}
			}
		}
		slices.SortFunc(s.Operations, func(a, b operation) int {
			return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
		})
		all = append(all, s)
	}
	return all
}

func describe(document *huma.OpenAPI, path string, op *huma.Operation) operation {
	permission, _ := op.Extensions["x-permission"].(string)
	o := operation{Method: op.Method, Path: path, Summary: op.Summary, Description: op.Description, Permission: permission, Anchor: op.OperationID}
	for _, p := range op.Parameters {
		o.Parameters = append(o.Parameters, parameter{p.Name, p.In, typeOf(p.Schema), "", p.Description})
	}
	if op.RequestBody != nil {
		o.Body = membersOf(document, op.RequestBody.Content["application/json"])
	}
	if r := op.Responses["200"]; r != nil {
		o.Answer = membersOf(document, r.Content["application/json"])
	}
	return o
}

func membersOf(document *huma.OpenAPI, media *huma.MediaType) []parameter {
	if media == nil || media.Schema == nil {
		return nil
	}
	s := media.Schema
	if s.Ref != "" {
		s = document.Components.Schemas.SchemaFromRef(s.Ref)
	}
	return members(s)
}

func members(s *huma.Schema) (all []parameter) {
	for name, m := range s.Properties {
		where := ""
		if slices.Contains(s.Required, name) {
			where = "required"
		}
		ref := m.Ref
		if m.Items != nil {
			ref = m.Items.Ref
		}
		all = append(all, parameter{name, where, typeOf(m), ref[strings.LastIndex(ref, "/")+1:], m.Description})
	}
	slices.SortFunc(all, func(a, b parameter) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func types(document *huma.OpenAPI) (all []schema) {
	for name, s := range document.Components.Schemas.Map() {
		all = append(all, schema{name, members(s)})
	}
	slices.SortFunc(all, func(a, b schema) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// prose shows a description: its paragraphs, and what stands in backquotes as
// code.
func prose(text string) templ.Component {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		b.WriteString("<p>")
		for i, part := range strings.Split(paragraph, "`") {
			if part = templ.EscapeString(part); i%2 == 1 {
				part = "<code>" + part + "</code>"
			}
			b.WriteString(part)
		}
		b.WriteString("</p>")
	}
	return templ.Raw(b.String()) // escaped above
}

// anchor is the address of an element of the page.
func anchor(id string) templ.SafeURL { return templ.SafeURL("#" + url.PathEscape(id)) }

// where says where a parameter stands, or that a member is needed.
func (p parameter) where() string {
	if p.Where == "" {
		return ""
	}
	return ", " + p.Where
}

func typeOf(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	case s.Items != nil:
		return "list of " + typeOf(s.Items)
	case len(s.Enum) > 0:
		words := make([]string, 0, len(s.Enum))
		for _, e := range s.Enum {
			if w, ok := e.(string); ok {
				words = append(words, w)
			}
		}
		return strings.Join(words, ", ")
	case s.Format != "":
		return s.Format
	}
	return s.Type
}
