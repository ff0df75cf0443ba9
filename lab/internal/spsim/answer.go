package spsim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"gatehouse/lab/internal/directory"
)

// build is the version of the server that answers name.
const build = "16.0.0.26712"

// identify sets the headers that every answer carries, refused or not. Support
// asks for SPRequestGuid.
func (s *Server) identify(h http.Header) {
	id, n := directory.RandomID(), uint64(0)
	if s.cfg.Deterministic {
		id = directory.NameID("sharepoint request", fmt.Sprint(s.counter.Add(1)))
	}
	if s.cfg.Random != nil {
		n = s.cfg.Random()
	}
	h.Set("SPRequestGuid", id)
	h.Set("request-id", id)
	h.Set("MS-CV", base64.RawStdEncoding.EncodeToString([]byte(id)[:16])+".0")
	h.Set("MicrosoftSharePointTeamServices", build)
	h.Set("X-SharePointHealthScore", fmt.Sprint(n%4))
	h.Set("SPRequestDuration", fmt.Sprint(12+n>>8%200))
	h.Set("SPIisLatency", fmt.Sprint(n>>16%5))
	h.Set("Date", s.cfg.Store.Now().UTC().Format(http.TimeFormat))
	h.Set("Cache-Control", "private, max-age=0")
	h.Set("X-Content-Type-Options", "nosniff")
}

// Forms of an answer.
const (
	nometadata = "nometadata"
	minimal    = "minimalmetadata"
	verbose    = "verbose"
	atom       = "atom"
)

// form is what the Accept header asks for. Who does not ask for JSON gets Atom,
// as ever.
func form(h http.Header) string {
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		kind, parameters, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(part, " ", "")), ";")
		if kind != "application/json" {
			continue
		}
		for p := range strings.SplitSeq(parameters, ";") {
			switch p {
			case "odata=nometadata", "odata.metadata=none":
				return nometadata
			case "odata=verbose":
				return verbose
			}
		}
		return minimal
	}
	return atom
}

func (s *Server) write(w http.ResponseWriter, h *http.Request, given any, err error) {
	header, shape := w.Header(), form(h.Header)
	status := http.StatusOK
	var body []byte
	switch r, isRendered := given.(rendered); {
	case err != nil:
		var f *fault
		if !errors.As(err, &f) {
			f = refuse(http.StatusInternalServerError, codeClient, "The lab stumbled: %v", err)
		}
		maps.Copy(header, f.header)
		status = f.status
		if f.bare {
			body = []byte(f.body)
			header.Set("Content-Type", f.bodyType)
			if f.bodyType == "" {
				header.Set("Content-Length", "0")
				header.Del("Content-Type")
			}
			break
		}
		header.Set("Content-Type", contentType(shape))
		body = s.refusal(f, shape)
	case isRendered:
		status, body = r.status, r.body
		header.Set("Content-Type", r.kind)
		if r.etag != "" {
			header.Set("ETag", r.etag)
		}
	}
	w.WriteHeader(status)
	if h.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

func contentType(shape string) string {
	if shape == atom {
		return "application/atom+xml;type=entry;charset=utf-8"
	}
	return "application/json;odata=" + shape + ";streaming=true;charset=utf-8"
}

// refusal is an error in the form that was asked for.
func (s *Server) refusal(f *fault, shape string) []byte {
	message := map[string]any{"lang": "en-US", "value": f.message}
	switch shape {
	case atom:
		return []byte(`<?xml version="1.0" encoding="utf-8"?><m:error xmlns:m="` + metadataSpace + `"><m:code>` + escape(f.code) + `</m:code><m:message xml:lang="en-US">` + escape(f.message) + `</m:message></m:error>`)
	case verbose:
		return s.cfg.Random.JSON(map[string]any{"error": map[string]any{"code": f.code, "message": message}})
	}
	return s.cfg.Random.JSON(map[string]any{"odata.error": map[string]any{"code": f.code, "message": message}})
}

// rendered is an answer ready to be sent.
type rendered struct {
	status     int
	kind, etag string
	body       []byte
}

// render gives what the walk arrived at the form that was asked for.
func (r *request) render(at any) (any, error) {
	shape := form(r.http.Header)
	out := rendered{status: http.StatusOK, kind: contentType(shape)}
	o, err := r.options()
	if err != nil {
		return nil, err
	}
	switch at := at.(type) {
	case stream:
		out.kind, out.body = "application/octet-stream", []byte(at.content)
		return out, nil
	case scalar:
		out.body = r.scalar(at, shape)
		return out, nil
	case made:
		out.status = http.StatusCreated
		return r.entityAnswer(at.entity, o, shape, out)
	case *entity:
		return r.entityAnswer(at, o, shape, out)
	case *collection:
		rows, next, err := r.page(at, o)
		if err != nil {
			return nil, err
		}
		for _, e := range rows {
			if err := e.choose(o.choose); err != nil {
				return nil, err
			}
		}
		out.body = r.collection(at, rows, next, shape)
		if shape == atom {
			out.kind = strings.Replace(out.kind, "entry", "feed", 1)
		}
		return out, nil
	}
	return nil, noResource("")
}

func (r *request) entityAnswer(e *entity, o options, shape string, out rendered) (any, error) {
	if err := e.choose(o.choose); err != nil {
		return nil, err
	}
	out.etag = e.etag
	switch shape {
	case atom:
		out.body = []byte(`<?xml version="1.0" encoding="utf-8"?>` + r.atomEntry(e, true))
	case verbose:
		fields := r.decorated(e, shape)
		if e.typ == "SP.ContextWebInformation" {
			fields = map[string]any{"GetContextWebInformation": fields}
		}
		out.body = r.server.cfg.Random.JSON(map[string]any{"d": fields})
	default:
		out.body = r.server.cfg.Random.JSON(r.decorated(e, shape))
	}
	return out, nil
}

// choose leaves only the selected fields.
func (e *entity) choose(names []string) error {
	if names == nil {
		return nil
	}
	chosen := map[string]any{}
	for _, name := range names {
		v, err := e.value(name)
		if err != nil {
			return err
		}
		chosen[name] = v
	}
	e.fields = chosen
	return nil
}

// decorated are an object's fields with what the form adds.
func (r *request) decorated(e *entity, shape string) map[string]any {
	fields := maps.Clone(e.fields)
	switch shape {
	case minimal:
		fields["odata.type"], fields["odata.metadata"] = e.typ, r.url("_api/$metadata#"+e.typ+"/@Element")
		if e.uri != "" {
			fields["odata.id"], fields["odata.editLink"] = r.url("_api/"+e.uri), e.uri
		}
		if e.etag != "" {
			fields["odata.etag"] = e.etag
		}
	case verbose:
		meta := map[string]any{"type": e.typ}
		if e.uri != "" {
			meta["id"], meta["uri"] = r.url("_api/"+e.uri), r.url("_api/"+e.uri)
		}
		if e.etag != "" {
			meta["etag"] = e.etag
		}
		fields["__metadata"] = meta
		for name, v := range fields {
			if values, ok := v.([]any); ok {
				fields[name] = map[string]any{"results": values}
			}
		}
	}
	return fields
}

func (r *request) collection(c *collection, rows []*entity, next, shape string) []byte {
	values := make([]any, len(rows))
	for i, e := range rows {
		fields := r.decorated(e, shape)
		delete(fields, "odata.metadata") // the collection has it
		values[i] = fields
	}
	switch shape {
	case atom:
		return r.atomFeed(c, rows, next)
	case verbose:
		d := map[string]any{"results": values}
		if next != "" {
			d["__next"] = next
		}
		return r.server.cfg.Random.JSON(map[string]any{"d": d})
	}
	body := map[string]any{"value": values}
	if shape == minimal {
		body["odata.metadata"] = r.url("_api/$metadata#" + c.typ)
	}
	if next != "" {
		body["odata.nextLink"] = next
	}
	return r.server.cfg.Random.JSON(body)
}

func (r *request) scalar(v scalar, shape string) []byte {
	switch shape {
	case atom:
		return []byte(`<?xml version="1.0" encoding="utf-8"?>` + atomField(v.name, v.value, ` xmlns:d="`+dataSpace+`" xmlns:m="`+metadataSpace+`"`))
	case verbose:
		return r.server.cfg.Random.JSON(map[string]any{"d": map[string]any{v.name: v.value}})
	case minimal:
		return r.server.cfg.Random.JSON(map[string]any{"odata.metadata": r.url("_api/$metadata#Edm"), "value": v.value})
	}
	return r.server.cfg.Random.JSON(map[string]any{"value": v.value})
}
