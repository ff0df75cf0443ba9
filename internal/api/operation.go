package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// action is what a route does, with pointers to its input and its output.
type action func(ctx context.Context, in any) (any, error)

// shape is how the input of a route is read: [huma.Register] would be compiled
// anew for each pair of types, 30 kB each, so that all routes share two of it,
// with and without a body, and the rest is read here from the types.
type shape struct {
	api    huma.API
	input  reflect.Type
	params []parameterField
	op     *huma.Operation
}

// parameterField is a member of the input that comes from the address or the
// header.
type parameterField struct {
	index              []int
	name, in, fallback string
	required, explode  bool
	schema             *huma.Schema
}

// shapeKey is where a route's shape lies in its metadata.
const shapeKey = "shape"

// bare is the input of routes without a body, and the parameters of all.
type bare struct {
	value reflect.Value // of the route's own type
}

// bodied is the input of routes with a body, which Huma reads and holds against
// its schema. The content type is taken out of the document again.
type bodied struct {
	bare
	RawBody []byte `contentType:"x-raw"`
}

// operate registers an operation whose input and output are of the types.
func (f *face) operate(h huma.API, op huma.Operation, in, out reflect.Type, do action) {
	s := &shape{api: h, input: in}
	registry := h.OpenAPI().Components.Schemas
	s.params = parametersOf(registry, in, nil)
	for _, p := range s.params {
		op.Parameters = append(op.Parameters, p.document())
	}
	if len(s.params) > 0 {
		op.Errors = append(op.Errors, http.StatusUnprocessableEntity)
	}
	op.Metadata[shapeKey] = s
	op.Responses = map[string]*huma.Response{strconv.Itoa(op.DefaultStatus): responseOf(registry, op, out)}
	s.op = &op
	if !hasBody(in) {
		huma.Register(h, op, func(ctx context.Context, in *bare) (*huma.StreamResponse, error) {
			return s.run(ctx, in.value, do)
		})
		return
	}
	op.RequestBody = requestOf(registry, op, in)
	huma.Register(h, op, func(ctx context.Context, in *bodied) (*huma.StreamResponse, error) {
		if err := s.unpack(in.value, in.RawBody); err != nil {
			return nil, err
		}
		return s.run(ctx, in.value, do)
	})
	delete(op.RequestBody.Content, "x-raw")
}

// run does the action and gives what writes its answer.
func (s *shape) run(ctx context.Context, in reflect.Value, do action) (*huma.StreamResponse, error) {
	out, err := do(ctx, in.Addr().Interface())
	if err != nil {
		return nil, err
	}
	if stream, ok := out.(*huma.StreamResponse); ok {
		return stream, nil
	}
	v := reflect.ValueOf(out)
	if v.IsNil() || v.Elem().NumField() == 0 {
		return nil, nil // no content
	}
	answer := v.Elem().FieldByName("Body").Interface()
	return &huma.StreamResponse{Body: func(h huma.Context) { s.write(h, answer) }}, nil
}

// write answers in a form that the caller takes.
func (s *shape) write(h huma.Context, answer any) {
	kind, err := s.api.Negotiate(h.Header("Accept"))
	if err != nil {
		_ = huma.WriteErr(s.api, h, http.StatusNotAcceptable, "unable to marshal response", err) // a lost connection: nobody is left to tell
		return
	}
	h.SetHeader("Content-Type", kind)
	h.SetStatus(s.op.DefaultStatus)
	if err := s.api.Marshal(h.BodyWriter(), kind, answer); err != nil && h.Context().Err() == nil {
		panic(fmt.Errorf("writing the answer of %s: %w", s.op.OperationID, err))
	}
}

// unpack reads a body that fits its schema.
func (s *shape) unpack(in reflect.Value, data []byte) error {
	if raw := in.FieldByName("RawBody"); raw.IsValid() {
		raw.SetBytes(data)
	}
	body := in.FieldByName("Body")
	if !body.IsValid() || len(data) == 0 {
		return nil
	}
	if err := s.api.Unmarshal("application/json", data, body.Addr().Interface()); err != nil {
		return huma.NewError(http.StatusUnprocessableEntity, "validation failed", &huma.ErrorDetail{Location: "body", Message: err.Error()})
	}
	return fill(body)
}

// fill gives the members of a body that were left out what their tags say.
func fill(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return fill(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := fill(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field, text := v.Field(i), v.Type().Field(i).Tag.Get("default")
			if !field.CanSet() {
				continue
			}
			if text != "" && field.IsZero() {
				if _, err := setText(field, []string{text}); err != nil {
					return fmt.Errorf("reading the default of %s: %w", v.Type().Field(i).Name, err)
				}
				continue
			}
			if err := fill(field); err != nil {
				return err
			}
		}
	}
	return nil
}

// Resolve reads the parameters; Huma calls it once it has read the body.
func (b *bare) Resolve(h huma.Context) (faults []error) {
	s := h.Operation().Metadata[shapeKey].(*shape)
	b.value = reflect.New(s.input).Elem()
	return s.read(h, b.value)
}

// read sets the parameters of an input.
func (s *shape) read(h huma.Context, in reflect.Value) []error {
	address := h.URL()
	query := address.Query()
	path, result := huma.NewPathBuffer(nil, 0), &huma.ValidateResult{}
	at := func(where, name string) {
		path.Reset()
		path.Push(where)
		path.Push(name)
	}
	for name := range query {
		if !slices.ContainsFunc(s.params, func(p parameterField) bool { return p.in == "query" && p.name == name }) {
			at("query", name)
			result.Add(path, "", "unknown query parameter")
		}
	}
	for _, p := range s.params {
		at(p.in, p.name)
		texts := p.texts(h, query)
		if len(texts) == 0 {
			if p.required {
				result.Add(path, "", "required "+p.in+" parameter is missing")
			}
			continue
		}
		value, err := setText(in.FieldByIndex(p.index), texts)
		if err != nil {
			result.Add(path, texts[0], err.Error())
			continue
		}
		huma.Validate(s.api.OpenAPI().Components.Schemas, p.schema, path, huma.ModeWriteToServer, value, result)
	}
	return result.Errors
}

// texts are what a request says of a parameter.
func (p parameterField) texts(h huma.Context, query map[string][]string) []string {
	var text string
	switch p.in {
	case "path":
		text = h.Param(p.name)
	case "header":
		text = h.Header(p.name)
	default:
		if p.explode {
			return query[p.name]
		}
		text = h.Query(p.name)
	}
	if text == "" {
		text = p.fallback
	}
	if text == "" {
		return nil
	}
	return []string{text}
}

// setText sets a member from text, and gives it as [huma.Validate] wants it.
func setText(v reflect.Value, texts []string) (any, error) {
	text := texts[0]
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return text, nil
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errors.New("invalid integer")
		}
		v.SetInt(n)
		return n, nil
	case reflect.Bool:
		yes, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("invalid boolean")
		}
		v.SetBool(yes)
		return yes, nil
	case reflect.Slice:
		v.Set(reflect.ValueOf(texts))
		return texts, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, errors.New("invalid date/time for format " + time.RFC3339Nano)
	}
	v.Set(reflect.ValueOf(at))
	return text, nil
}

// parametersOf finds the members of an input that are parameters, those of
// embedded structs too.
func parametersOf(registry huma.Registry, t reflect.Type, within []int) (all []parameterField) {
	for i := range t.NumField() {
		field := t.Field(i)
		index := append(slices.Clone(within), i)
		if field.Anonymous {
			all = append(all, parametersOf(registry, field.Type, index)...)
			continue
		}
		for _, in := range []string{"path", "query", "header"} {
			tag, ok := field.Tag.Lookup(in)
			if !ok {
				continue
			}
			mustRead(field)
			name, more, _ := strings.Cut(tag, ",")
			all = append(all, parameterField{
				index: index, name: name, in: in, fallback: field.Tag.Get("default"), explode: more == "explode",
				required: in == "path" || field.Tag.Get("required") == "true", schema: huma.SchemaFromField(registry, field, ""),
			})
		}
	}
	return all
}

// mustRead stops the server from starting with a parameter that [setText] cannot
// set.
func mustRead(field reflect.StructField) {
	switch field.Type.Kind() {
	case reflect.String, reflect.Int, reflect.Int64, reflect.Bool:
		return
	}
	if field.Type != reflect.TypeFor[[]string]() && field.Type != reflect.TypeFor[time.Time]() {
		panic("the parameter " + field.Name + " is of a type that is not read from text: " + field.Type.String())
	}
}

// document is how the document shows a parameter.
func (p parameterField) document() *huma.Param {
	d := &huma.Param{Name: p.name, Description: p.schema.Description, In: p.in, Required: p.required, Schema: p.schema}
	if p.in == "query" {
		d.Explode = &p.explode
	}
	return d
}

// requestOf is how the document shows a body, and what it is held against.
func requestOf(registry huma.Registry, op huma.Operation, in reflect.Type) *huma.RequestBody {
	schema := &huma.Schema{Type: huma.TypeString, Format: "binary"} // read by the feature
	if body, ok := in.FieldByName("Body"); ok {
		schema = huma.SchemaFromField(registry, body, hintOf(in, "Body", op.OperationID+"Request"))
	}
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}

// responseOf is how the document shows an answer.
func responseOf(registry huma.Registry, op huma.Operation, out reflect.Type) *huma.Response {
	r := &huma.Response{Description: http.StatusText(op.DefaultStatus)}
	if body, ok := out.FieldByName("Body"); ok && body.Type.Kind() != reflect.Func {
		r.Content = map[string]*huma.MediaType{"application/json": {Schema: huma.SchemaFromField(registry, body, hintOf(out, "Body", op.OperationID+"Response"))}}
	}
	return r
}

// hintOf names a type that has no name of its own.
func hintOf(parent reflect.Type, member, otherwise string) string {
	if parent.Name() != "" {
		return parent.Name() + member
	}
	return otherwise
}
