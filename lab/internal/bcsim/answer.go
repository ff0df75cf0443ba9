package bcsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// answer is what is sent: plain values.
type answer struct {
	status int
	body   map[string]any // nil: none
	header http.Header
}

func (r *request) write(w http.ResponseWriter, a *answer, err error, correlation string) {
	h := w.Header()
	h.Set("request-id", correlation)
	h.Set("ms-correlation-x", correlation)
	h.Set("Date", r.now.Format(http.TimeFormat))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("OData-Version", "4.0")
	kind := "application/json; odata.metadata=minimal; odata.streaming=true"
	if err != nil {
		a, kind = r.refusal(err, correlation), "application/json; charset=utf-8"
	}
	maps.Copy(h, a.header)
	if tag, ok := a.body[etagName].(string); ok {
		h.Set("ETag", tag)
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	h.Set("Content-Type", kind)
	w.WriteHeader(a.status)
	if r.http.Method != http.MethodHead {
		var b bytes.Buffer
		r.server.encode(&b, a.body)
		_, _ = w.Write(b.Bytes())
	}
}

// refusal is an error in the form of its family. The two blanks before
// CorrelationId are the service's.
func (r *request) refusal(err error, correlation string) *answer {
	var f *fault
	if !errors.As(err, &f) {
		f = refuse(http.StatusInternalServerError, codeUnknown, "The lab stumbled: %v", err)
	}
	out := &answer{status: f.status, header: f.header}
	if f.status == http.StatusUnauthorized {
		out.header = http.Header{"Www-Authenticate": {`Bearer authorization_uri="` + r.authority() + `/common/oauth2/authorize"`}}
	}
	path := strings.ToLower(strings.Trim(r.http.URL.Path, "/"))
	isAdmin := path == "admin" || strings.HasPrefix(path, "admin/")
	switch {
	case f.bare, f.status == http.StatusUnauthorized && isAdmin:
		out.body = map[string]any{"Message": f.message}
	case isAdmin:
		code := f.code
		if f.status == http.StatusNotFound && code == codeNoResource {
			code = "ResourceNotFound"
		}
		out.body = map[string]any{"code": code, "message": f.message}
	default:
		out.body = map[string]any{"error": map[string]any{"code": f.code, "message": f.message + "  CorrelationId:  " + correlation + "."}}
	}
	return out
}

// authority is where a refused caller is sent to sign in: the public cloud, or
// the lab where the product is served under the lab's own address.
func (r *request) authority() string {
	if r.root == "https://"+Host {
		return "https://login.microsoftonline.com"
	}
	return r.root
}

// encode writes JSON; with [Config.Random] the members of objects come in any
// order, as JSON allows.
func (s *Server) encode(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		if s.cfg.Random != nil {
			for i := len(names) - 1; i > 0; i-- {
				j := s.cfg.Random() % uint64(i+1)
				names[i], names[j] = names[j], names[i]
			}
		}
		b.WriteByte('{')
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			leaf(b, name)
			b.WriteByte(':')
			s.encode(b, v[name])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			s.encode(b, item)
		}
		b.WriteByte(']')
	default:
		leaf(b, v)
	}
}

func leaf(b *bytes.Buffer, v any) {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // strings, numbers, truth values and nil always encode
	b.Truncate(b.Len() - 1)
}
