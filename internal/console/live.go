package console

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"

	"gatehouse/internal/audit"
	"gatehouse/internal/live"
)

// live streams to a page that something it shows has changed: the page then
// reads itself again. The events' own data stays here.
func (c *console) live(w http.ResponseWriter, r *http.Request, _ *frame) error {
	scope, err := audit.Tenants(r.Context(), audit.ConnectionView)
	if err != nil {
		return err
	}
	filter := live.Filter{Tenants: scope.IDs, AllTenants: scope.All, Topics: r.URL.Query()["topic"]}
	events, err := c.Hub.Subscribe(r.Context(), filter, r.Header.Get("Last-Event-ID"))
	if err != nil {
		return err
	}
	stream := http.NewResponseController(w)
	_ = stream.SetWriteDeadline(time.Time{}) // where the server cannot, its own limit ends the stream and the page comes back
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, ": open\n\n")
	if r.URL.Query().Has("again") {
		// What happened between the page and its stream is in neither.
		fmt.Fprint(w, "event: news\ndata: 1\n\n")
	}
	beat := time.NewTicker(20 * time.Second)
	defer beat.Stop()
	for {
		if err := stream.Flush(); err != nil {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-c.Stopping:
			return nil
		case <-beat.C:
			// Keeps connections open that break when nothing is said.
			fmt.Fprint(w, ": still here\n\n")
		case e, open := <-events:
			if !open {
				return nil
			}
			if e.ID != "" {
				fmt.Fprintf(w, "id: %s\n", strings.NewReplacer("\r", "", "\n", "").Replace(e.ID))
			}
			fmt.Fprint(w, "event: news\ndata: 1\n\n")
		}
	}
}

// liveOn marks an element that is read again when the page's stream says so.
//
//go:noinline
func liveOn(f *frame, id string) templ.Attributes {
	return templ.Attributes{"id": id, "hx-get": f.Here, "hx-select": "#" + id, "hx-swap": "outerMorph", "hx-trigger": "news from:#live throttle:1s"}
}
