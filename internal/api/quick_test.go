package api

import (
	"encoding/json"
	"testing"
	"time"

	"gatehouse/client"
)

// FuzzPlain: what is taken for a plain request keeps to what the document says.
func FuzzPlain(f *testing.F) {
	for _, text := range []string{`{}`, `{"service":"graph"}`, `{"resource":"https://graph.microsoft.com","claims":"{}"}`, `{"service":"x"}`, `{"more":1}`, `null`, `[]`, `{} {}`, "\x00"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var in client.TokenRequest
		if plain(data, &in) && (len(in.Resource) > 300 || len(in.Claims) > 8192 || len(in.Service) > 16) {
			t.Errorf("%q is taken for a plain request", data)
		}
	})
}

// FuzzAppendToken: a token is encoded as package json does it.
func FuzzAppendToken(f *testing.F) {
	f.Add("eyJ0.eyJh-_.c2ln", "https://graph.microsoft.com", int64(1_700_000_000), int64(1))
	f.Add("<&>\"\\\x00\u2028\xff", "ü", int64(0), int64(0))
	f.Fuzz(func(t *testing.T, access, resource string, seconds, nanoseconds int64) {
		at := time.Unix(seconds%200_000_000_000, nanoseconds%1_000_000_000).UTC()
		token := client.Token{AccessToken: access, TokenType: "Bearer", ExpiresAt: at, Resource: resource, Connection: "c", State: client.TokenReady}
		want, err := json.Marshal(token)
		if got := string(appendToken(nil, &token)); err == nil && got != string(want)+"\n" {
			t.Errorf("%q instead of %q", got, want)
		}
	})
}
