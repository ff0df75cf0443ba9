package console_test

import (
	"net/http"
	"regexp"
	"strings"
)

// weigh bounds what a browser loads: the first page with everything, later
// pages alone.
func (v *visitor) weigh(screens []screen) {
	t := v.t
	loaded := 0
	for _, m := range regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`).FindAllStringSubmatch(v.get("/").Text, -1) {
		asset := v.get(m[1])
		loaded += len(asset.Text)
		if asset.Status != http.StatusOK || !strings.Contains(asset.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %s", m[1], asset.Status, asset.Header.Get("Cache-Control"))
		}
	}
	for _, s := range screens {
		p := v.get(s.path)
		if strings.Contains(p.Text, "<style") || strings.Contains(p.Text, " style=") || strings.Contains(p.Text, "<script>") || strings.Contains(p.Text, " onclick") {
			t.Errorf("%s has a script or style within it", s.name)
		}
		if p.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s is sent without a policy", s.name)
		}
		if sent := v.sent(s.path); sent > 30_000 || loaded+sent > 250_000 {
			t.Errorf("%s takes %d bytes, with what it loads %d", s.name, sent, loaded+sent)
		}
	}
}

// sent is how many bytes a page takes on its way to a browser.
func (v *visitor) sent(path string) int {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.server.URL+path, nil)
	must(v.t, request, err).Header.Set("Accept-Encoding", "gzip") // asked for, it is not undone by the client
	response, err := v.client.Do(request)                         //nolint:bodyclose // decode, read or the caller closes it
	return len(v.read(response, err).Text)
}
