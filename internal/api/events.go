package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/client"
	"gatehouse/internal/audit"
	"gatehouse/internal/live"
)

type eventInput struct {
	Topics []string `query:"topic,explode" maxItems:"20" doc:"Only these topics, such as validation/{connection id} or tenant/{id}; all if left out"`
	Last   string   `header:"Last-Event-ID" maxLength:"64" doc:"The last event that was seen: the stream goes on after it"`
}

func (f *face) events(h huma.API) {
	add(f, h, route{access: needs(audit.TenantView), method: http.MethodGet, path: "/events", id: "stream-events", tag: "Events", summary: "What changes, as it changes",
		long: "A stream of server-sent events, each with its id and JSON data of the type Event: what it names is to be read again. " +
			"After an event with `reload` everything is. It shows the tenants that the caller may see."}, f.streamEvents)
	describeStream(h, "/events", "text/event-stream", "Server-sent events, each with the data of an Event", h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[client.Event](), true, "Event"))
}

// describeStream documents an answer that Huma does not know the form of.
func describeStream(h huma.API, path, kind, what string, schema *huma.Schema) {
	h.OpenAPI().Paths[prefix+path].Get.Responses["200"] = &huma.Response{Description: what, Content: map[string]*huma.MediaType{kind: {Schema: schema}}}
}

func (f *face) streamEvents(ctx context.Context, in *eventInput) (*huma.StreamResponse, error) {
	scope, err := audit.Tenants(ctx, audit.TenantView)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	events, err := f.Live.Subscribe(ctx, live.Filter{Tenants: scope.IDs, AllTenants: scope.All, Topics: in.Topics}, in.Last)
	if err != nil {
		cancel()
		return nil, err
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		defer cancel()
		h.SetHeader("Content-Type", "text/event-stream")
		h.SetHeader("X-Accel-Buffering", "no") // proxies pass each event on at once
		f.stream(ctx, newPatient(h), events, scope)
	}}, nil
}

// stream writes events until the reader leaves, may not read them any more, or
// the server stops.
func (f *face) stream(ctx context.Context, out *patient, events <-chan live.Event, scope audit.Scope) {
	beat := time.NewTicker(f.beat)
	defer beat.Stop()
	write := func(format string, args ...any) bool {
		_, err := fmt.Fprintf(out, format, args...)
		return err == nil && out.control.Flush() == nil
	}
	if !write(": %s\n\n", "events follow") {
		return
	}
	for {
		select {
		case e, ok := <-events:
			if !ok || !write("%s", encode(e)) {
				return
			}
		case <-beat.C:
			if !f.stillMay(ctx, scope) || !write(": %s\n\n", "still here") {
				return
			}
		case <-f.Stopping:
			return
		}
	}
}

// stillMay looks whether the caller and what they may see are as they were.
func (f *face) stillMay(ctx context.Context, scope audit.Scope) bool {
	c := callerOf(ctx)
	if err := f.recognise(&ctx, &c); err != nil {
		return false
	}
	now, err := audit.Tenants(ctx, audit.TenantView)
	return err == nil && reflect.DeepEqual(now, scope)
}

// encode gives an event's lines (HTML Living Standard, 9.2).
func encode(e live.Event) []byte {
	data, err := json.Marshal(client.Event{ID: e.ID, At: e.At, Topic: e.Topic, TenantID: e.Tenant, Data: e.Data, Reload: e.Reload})
	if err != nil {
		panic(err) // the data was JSON when it was published
	}
	if e.ID == "" {
		return fmt.Appendf(nil, "data: %s\n\n", data)
	}
	return fmt.Appendf(nil, "id: %s\ndata: %s\n\n", e.ID, data)
}
