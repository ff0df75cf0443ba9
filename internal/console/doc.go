// Package console is the web face: pages rendered on the server, one for each
// noun, that read and work without scripts.
//
// A handler parses the request, calls a method of a feature and renders a page,
// or, after a change, sends the browser to the page that shows it. What people
// may do is decided by the features; the pages only leave out what would be
// refused. Names of files follow the nouns: tenants.go holds the handlers,
// tenants.templ their pages.
//
// Scripts add four things: pages that follow what happens (htmx reads the page
// again when an event of package live names it), times in the viewer's zone,
// keys, and passkeys. Nothing comes from another host, and the policy that the
// pages are sent with allows no script or style within them.
//
// The server in front is expected to refuse cross-site requests
// ([net/http.CrossOriginProtection]) and to bound what a request may send.
package console

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate
