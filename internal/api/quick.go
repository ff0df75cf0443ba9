package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"gatehouse/client"
	"gatehouse/internal/audit"
)

// maxQuick bounds the body of a request that is answered quickly, in bytes.
const maxQuick = 16 << 10

// quickly answers programs that ask for a token before each of their calls, which is
// by far the most frequent request, without the router's work: a plain request of a
// key for [face.newToken]. Whatever is out of the ordinary goes the usual way, and is
// refused there.
func (f *face) quickly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callerOf(r.Context())
		if r.Method != http.MethodPost || c.key == "" || !f.fresh(r.URL.Path) || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/json" || r.ContentLength < 0 || r.ContentLength > maxQuick {
			next.ServeHTTP(w, r)
			return
		}
		id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, prefix+"/connections/"), "/token")
		data, err := io.ReadAll(r.Body)
		var in tokenInput
		if err != nil || strings.Contains(id, "/") || len(id) > 64 || !plain(data, &in.Body) || f.allowed(r.Context(), needs(audit.ConnectionUse)) != nil {
			r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data), r.Body))
			next.ServeHTTP(w, r)
			return
		}
		in.ID = id
		out, err := f.newToken(r.Context(), &in)
		if err != nil {
			f.refuse(w, r.Context(), err)
			return
		}
		answer, err := json.Marshal(out.Body)
		if err != nil {
			f.refuse(w, r.Context(), err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(append(answer, '\n')) // a lost connection: nobody is left to tell
	})
}

// plain reads a request that the document allows; false for any other.
func plain(data []byte, in *client.TokenRequest) bool {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) || d.Decode(in) != nil || d.More() {
		return false
	}
	switch in.Service {
	case "", "graph", "sharepoint", "exchange", "business_central":
	default:
		return false
	}
	return len(in.Resource) <= 300 && len(in.Claims) <= 8<<10 && !strings.ContainsRune(in.Resource+in.Claims, 0)
}
