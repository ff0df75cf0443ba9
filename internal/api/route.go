package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/internal/audit"
)

// access says who may call a route. The zero value is nobody: [add] refuses it.
type access struct {
	permission audit.Permission // demanded of a signed-in operator
	open       bool             // anybody, within the limits
	entering   bool             // a session in any stage
}

// needs is for operators with a permission, in whatever tenant; the feature
// looks at the object's own.
//
//go:noinline
func needs(p audit.Permission) access { return access{permission: p} }

var (
	anybody  = access{open: true}
	entering = access{entering: true}
)

// word is how the document tells it.
func (a access) word() string {
	switch {
	case a.open:
		return "none"
	case a.entering:
		return "session"
	}
	return string(a.permission)
}

// route is an operation of the API.
type route struct {
	access  access
	method  string
	path    string // below [prefix]
	id      string
	tag     string
	summary string
	long    string // more about it
	// maxBody bounds the body, in bytes; 256 kB if zero.
	maxBody int64
	// raw: the feature reads the body itself, once it has authorised.
	raw bool
	// fresh: the answer is good for a while only, so that no repetition gets it.
	fresh bool
	// asks: Microsoft is asked before the answer is given.
	asks bool
}

// repeatable reports whether a request may have an idempotency key: see
// [face.once].
func (r route) repeatable() bool {
	return r.method == http.MethodPost && r.access.permission != "" && !r.fresh
}

// refusals are the statuses other than success that a route may answer with.
// Huma adds 422 where there is something to validate.
func (r route) refusals(hasBody bool) []int {
	all := []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	if strings.Contains(r.path, "{") || hasBody && !r.access.open { // a body may name a tenant
		all = append(all, http.StatusNotFound)
	}
	if strings.Contains(r.path, "{") || r.method != http.MethodGet {
		all = append(all, http.StatusConflict)
	}
	if r.repeatable() || hasBody { // it is read for its idempotency key
		all = append(all, http.StatusRequestEntityTooLarge)
	}
	if hasBody {
		all = append(all, http.StatusRequestTimeout, http.StatusUnsupportedMediaType)
	}
	if r.asks {
		all = append(all, http.StatusBadGateway)
	}
	return all
}

// accessKey is where a route's access lies in its metadata.
const accessKey = "access"

// add registers a route with what it does. It is the only part that the
// compiler makes anew for each pair of types; [face.register] reads them as the
// server starts.
func add[I, O any](f *face, h huma.API, r route, do func(context.Context, *I) (*O, error)) {
	f.register(h, r, reflect.TypeFor[I](), reflect.TypeFor[O](), func(ctx context.Context, in any) (any, error) {
		return do(ctx, in.(*I))
	})
}

// register adds a route that takes a pointer to the type in and answers with one
// to the type out, which is [body], [empty] or [huma.StreamResponse].
func (f *face) register(h huma.API, r route, in, out reflect.Type, do action) {
	if (r.access == access{}) {
		panic("the route " + r.id + " does not say who may call it")
	}
	if least, known := audit.Least(r.access.permission); r.access.permission != "" && (!known || least == 0 && r.access.permission != audit.Self) {
		panic("the route " + r.id + " names a permission that nobody has")
	}
	if r.maxBody == 0 {
		r.maxBody = 256 << 10
	}
	status := http.StatusOK
	if out == reflect.TypeFor[empty]() {
		status = http.StatusNoContent
	}
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: prefix + r.path, Summary: r.summary, Description: strings.TrimSpace(r.long), Tags: []string{r.tag},
		DefaultStatus: status, MaxBodyBytes: r.maxBody, SkipValidateBody: r.raw, SkipValidateParams: true, // by [shape.Resolve]
		Metadata:   map[string]any{accessKey: r.access},
		Extensions: map[string]any{"x-permission": r.access.word()},
		Errors:     r.refusals(hasBody(in)),
		Middlewares: huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			f.authorise(h, ctx, r.access, next)
		}},
		Security: []map[string][]string{{"session": {}}},
	}
	if r.access.open {
		op.Security = []map[string][]string{{}}
	}
	if r.repeatable() {
		op.Parameters = append(op.Parameters, &huma.Param{Name: idempotencyHeader, In: "header", Description: "Any text of up to 200 characters: a repetition gets the first answer again.", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: new(200)}})
	}
	f.routes = append(f.routes, r)
	f.operate(h, op, in, out, func(ctx context.Context, in any) (any, error) {
		if faults := unstorable(reflect.ValueOf(in), ""); len(faults) > 0 {
			return nil, invalid(faults...)
		}
		out, err := do(ctx, in)
		if err != nil {
			return nil, f.answer(ctx, err)
		}
		return out, nil
	})
}

// hasBody reports whether a route's input has a body.
func hasBody(in reflect.Type) bool {
	_, parsed := in.FieldByName("Body")
	_, raw := in.FieldByName("RawBody")
	return parsed || raw
}

// empty is the answer of what answers nothing.
type empty struct{}

// body is an answer.
type body[T any] struct{ Body T }

// with makes an answer.
func with[T any](v T) *body[T] { return &body[T]{v} }

// Paging are the parameters of a list.
type Paging struct {
	After string `query:"after" maxLength:"200" doc:"Cursor of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

// ByID are the parameters of what is about one object.
type ByID struct {
	ID string `path:"id" maxLength:"64"`
}

// schemaName names the types in the document as package client does; of a
// generic one, its parts together.
func schemaName(t reflect.Type, hint string) string {
	return huma.DefaultSchemaNamer(t, hint)
}
