package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Event says that something changed.
type Event struct {
	ID       string          `json:"id"`
	At       time.Time       `json:"at"`
	Topic    string          `json:"topic"`
	TenantID string          `json:"tenant_id" doc:"Empty for what belongs to none, or to several"`
	Data     json.RawMessage `json:"data"`
	// Reload is set on the last event of a stream that could not give all:
	// read everything again and begin anew.
	Reload bool `json:"reload,omitempty"`
}

// maxEvent bounds a line of the stream, in bytes.
const maxEvent = 64 << 10

// Events calls a function for each event of the topics (all if none) until the
// context ends, the function fails or the stream breaks off. After is the id of
// the last event that was seen, "" for those from now on.
func (c *Client) Events(ctx context.Context, after string, topics []string, each func(Event) error) error {
	return c.stream(ctx, "/events", url.Values{"topic": topics}, after, func(data []byte) error {
		return readEvent(data, each)
	})
}

func readEvent(data []byte, each func(Event) error) error {
	var e Event
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("reading events: %w", err)
	}
	return each(e)
}

// stream calls a function with the data of each event of a stream.
func (c *Client) stream(ctx context.Context, path string, query url.Values, after string, each func([]byte) error) error {
	u := *c.base
	u.Path = "/api/v1" + path
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Authorization", "Bearer "+c.Token())
	if after != "" {
		request.Header.Set("Last-Event-ID", after)
	}
	endless := *c.http
	endless.Timeout = 0 // the context ends it
	response, err := endless.Do(request)
	if err != nil {
		return fmt.Errorf("asking for events: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return readProblem(response)
	}
	return readEvents(response.Body, each)
}

// readEvents reads a stream (HTML Living Standard, 9.2.6). Our server writes
// each event's data on one line.
func readEvents(r io.Reader, each func([]byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue // comments, ids (which the data has too), the blank line
		}
		if err := each([]byte(data)); err != nil {
			return err
		}
	}
	return lines.Err()
}
