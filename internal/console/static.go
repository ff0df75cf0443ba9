package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"
	"sync"
)

//go:embed static
var files embed.FS

// edition names the embedded files by their content, so that browsers keep
// them until a release changes one.
var edition = sync.OnceValue(func() string {
	sum := sha256.New()
	_ = fs.WalkDir(files, "static", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		sum.Write(data)
		return err
	}) // what is embedded can be read
	return hex.EncodeToString(sum.Sum(nil))[:12]
})

// asset is the address of an embedded file.
func asset(name string) string { return "/static/" + edition() + "/" + name }

// static serves the embedded files, for ever under the name of their edition.
func static() http.Handler {
	folder, _ := fs.Sub(files, "static") // it is embedded
	return http.StripPrefix("/static/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		of, name, _ := strings.Cut(r.URL.Path, "/")
		if of != edition() || name == "" || strings.HasSuffix(name, "/") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		http.ServeFileFS(w, r, folder, name) //nolint:gosec // what is embedded is public, and nothing else is in it
	}))
}

// policy is the Content-Security-Policy of every page. Images may be within the
// page for the code that a phone scans.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// protect sends what tells the browser to be strict.
func protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func themeOf(r *http.Request) string {
	if cookie, err := r.Cookie("theme"); err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		return cookie.Value
	}
	return "system"
}
