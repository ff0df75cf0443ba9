package console_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/audit"
)

// TestLive holds what a page's stream tells against what its reader may see,
// and has a page follow a validation by itself.
func TestLive(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cookie := h.administrator()
	own, foreign := h.add("Default Shield"), h.add("Open Harbour")
	eve := h.member(audit.Viewer, own.ID)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.URL+"/live?topic=tenant/"+own.ID+"&topic=tenant/"+foreign.ID, nil)
	response, err := eve.client.Do(must(t, request, err)) //nolint:bodyclose // closed below
	defer must(t, response, err).Body.Close()
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("the stream is %q", got)
	}
	lines := bufio.NewScanner(response.Body)
	next := func() string {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data:") {
				return lines.Text()
			}
		}
		return "nothing"
	}
	if !lines.Scan() || lines.Text() != ": open" {
		t.Fatalf("the stream begins with %q", lines.Text())
	}
	for _, id := range []string{foreign.ID, own.ID} {
		if err := h.tenants.Rename(h.boss(), id, "Renamed "+id[len(id)-4:]); err != nil {
			t.Fatal(err)
		}
	}
	if got := next(); got != "data: 1" {
		t.Errorf("the stream says %q", got)
	}
	cancel()
	if got := next(); got != "nothing" {
		t.Errorf("the stream tells of what is foreign: %q", got)
	}

	b := h.browse(cookie)
	one := h.account(own, "svc-connection", "Admin tool")
	b.open("/connections/" + one.ID)
	b.sees("Nobody has looked yet")
	h.validate(one)
	b.sees("What helps")

	// What a person has unfolded stays so when the page reads itself again.
	b.open("/tenants/" + own.ID)
	b.sees("Upload a snapshot")
	evaluate[any](b, `document.querySelector("#posture-card details").open = document.querySelector("#posture-card .head").dataset.old = true`)
	tries := 0
	b.eventually("the page did not read itself again", func() bool {
		tries++ // the first may come before the stream is open
		if err := h.tenants.Rename(h.boss(), own.ID, fmt.Sprintf("Default Shield %d", tries)); err != nil {
			t.Fatal(err)
		}
		return evaluate[bool](b, `!document.querySelector("#posture-card .head").dataset.old`)
	})
	if !evaluate[bool](b, `document.querySelector("#posture-card details").open`) {
		t.Error("what was unfolded is folded when news come")
	}
}
