package api

import (
	"testing"

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
