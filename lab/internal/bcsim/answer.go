package bcsim

import (
	"errors"
	"maps"
	"net/http"
	"strings"
)

// answer is what is sent: plain values.
type answer struct {
	status int
	body   map[string]any // nil: none
	list   []any          // instead of body, where the answer is a bare list
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
	var content any
	switch {
	case a.list != nil:
		content = a.list
	case a.body != nil:
		content = a.body
	default:
		w.WriteHeader(a.status)
		return
	}
	h.Set("Content-Type", kind)
	w.WriteHeader(a.status)
	if r.http.Method != http.MethodHead {
		_, _ = w.Write(r.server.cfg.Random.JSON(content))
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
