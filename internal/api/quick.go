package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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
		data := make([]byte, r.ContentLength)
		n, err := io.ReadFull(r.Body, data)
		data = data[:n]
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
		buffer := answers.Get().(*[]byte)
		defer answers.Put(buffer)
		answer := appendToken((*buffer)[:0], &out.Body)
		*buffer = answer
		h := w.Header()
		h["Content-Type"] = jsonType
		h["Content-Length"] = []string{strconv.Itoa(len(answer))}
		_, _ = w.Write(answer) // a lost connection: nobody is left to tell
	})
}

// answers are buffers for answers, which are most of what a request would allocate.
var answers = sync.Pool{New: func() any { return new([]byte) }}

// jsonType is shared by answers.
var jsonType = []string{"application/json"}

// appendToken appends what [json.Encoder] would, which takes several times as long.
func appendToken(b []byte, t *client.Token) []byte {
	b = appendString(append(b, `{"access_token":`...), t.AccessToken)
	b = appendString(append(b, `,"token_type":`...), t.TokenType)
	b = t.ExpiresAt.AppendFormat(append(b, `,"expires_at":"`...), time.RFC3339Nano)
	b = appendString(append(b, `","resource":`...), t.Resource)
	b = appendString(append(b, `,"connection":`...), t.Connection)
	b = appendString(append(b, `,"state":`...), t.State)
	return append(b, "}\n"...)
}

// odd are the bytes that may not stand for themselves in a string of package json.
var odd = func() (of [256]byte) {
	for c := range of {
		if c < ' ' || c > '~' || strings.ContainsRune(`"\<>&`, rune(c)) {
			of[c] = 1
		}
	}
	return of
}()

func appendString(b []byte, s string) []byte {
	// A token has some thousand bytes: eight in a row, without a branch for each, take
	// a quarter of the time.
	rest, found := s, byte(0)
	for len(rest) >= 8 {
		found |= odd[rest[0]] | odd[rest[1]] | odd[rest[2]] | odd[rest[3]] | odd[rest[4]] | odd[rest[5]] | odd[rest[6]] | odd[rest[7]]
		rest = rest[8:]
	}
	for i := range len(rest) {
		found |= odd[rest[i]]
	}
	if found != 0 {
		quoted, _ := json.Marshal(s) // which fails for no string
		return append(b, quoted...)
	}
	return append(append(append(b, '"'), s...), '"')
}

// simplest reads a request that names a service and nothing else, as most do; false
// for any other.
func simplest(data []byte, in *client.TokenRequest) bool {
	rest, ok := bytes.CutPrefix(data, []byte(`{"service":"`))
	name, end := bytes.CutSuffix(rest, []byte(`"}`))
	for _, service := range services {
		if ok && end && string(name) == service {
			in.Service = service
			return true
		}
	}
	return false
}

var services = []string{"graph", "sharepoint", "exchange", "business_central"}

// plain reads a request that the document allows; false for any other.
func plain(data []byte, in *client.TokenRequest) bool {
	if simplest(data, in) {
		return true
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) || d.Decode(in) != nil || d.More() {
		return false
	}
	return (in.Service == "" || slices.Contains(services, in.Service)) && len(in.Resource) <= 300 && len(in.Claims) <= 8<<10 && !strings.ContainsRune(in.Resource+in.Claims, 0)
}
