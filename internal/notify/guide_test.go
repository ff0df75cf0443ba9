package notify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/notify"
	"gatehouse/internal/sqldb/dbtest"
)

// verify reports whether a request comes from Gatehouse: secret is what the
// console showed once (whsec_…), body the request's bytes as they arrived.
func verify(secret string, header http.Header, body []byte) bool {
	seconds, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	key, keyErr := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || keyErr != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", header.Get("webhook-id"), header.Get("webhook-timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, one := range strings.Fields(header.Get("webhook-signature")) {
		if hmac.Equal([]byte(one), []byte(want)) {
			return true
		}
	}
	return false
}

// block is the first code of a language in a guide.
func block(t *testing.T, guide, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(guide, "```"+language+"\n")
	code, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("the guide has no code in %s", language)
	}
	return code
}

// The guide's own code takes what is sent and refuses what was changed.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/notices.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("guide_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), block(t, string(text), "go")) {
		t.Error("the guide's Go code is another one than this file's")
	}
	script := filepath.Join(t.TempDir(), "verify.js")
	const ask = "\nconst given = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))\nfor (const g of given) console.log(verify(g.secret, g.headers, Buffer.from(g.body, 'base64')))\n"
	if err := os.WriteFile(script, []byte(block(t, string(text), "js")+ask), 0o600); err != nil { //nolint:gosec // our own guide, into a folder of the test
		t.Fatal(err)
	}

	h := open(t, dbtest.Open(t, dbtest.SQLite(t)), nil)
	w, old := h.webhook(notify.WebhookRequest{})
	_, fresh, err := h.RotateSecret(h.boss(), w.ID) // two signatures
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.TestWebhook(h.boss(), w.ID); err != nil {
		t.Fatal(err)
	}
	hook := h.hooks.Hooks()[0]
	late := hook.Header.Clone()
	late.Set("webhook-timestamp", strconv.FormatInt(h.now().Add(-time.Hour).Unix(), 10))
	other := hook.Header.Clone()
	other.Set("webhook-id", "another")
	type request struct {
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    []byte            `json:"body"`
	}
	var all []request
	var want []string
	for _, c := range []struct {
		secret string
		header http.Header
		body   []byte
		fits   bool
	}{
		{old, hook.Header, hook.Body, true}, {fresh.Reveal(), hook.Header, hook.Body, true}, {"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)), hook.Header, hook.Body, false},
		{old, hook.Header, append(hook.Body[:len(hook.Body):len(hook.Body)], ' '), false}, {old, late, hook.Body, false}, {old, other, hook.Body, false}, {old, http.Header{"Webhook-Signature": {""}, "Webhook-Timestamp": {"x"}}, hook.Body, false},
	} {
		if verify(c.secret, c.header, c.body) != c.fits {
			t.Errorf("Go: %v, want %v", !c.fits, c.fits)
		}
		headers := map[string]string{}
		for name := range c.header {
			headers[strings.ToLower(name)] = c.header.Get(name)
		}
		all, want = append(all, request{c.secret, headers, c.body}), append(want, strconv.FormatBool(c.fits))
	}
	input, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", script) //nolint:gosec // our own guide
	node.Stdin = strings.NewReader(string(input))
	out, err := node.CombinedOutput()
	if err != nil || strings.Join(strings.Fields(string(out)), " ") != strings.Join(want, " ") {
		t.Errorf("Node: %v\n%s want %v", err, out, want)
	}
}
