package server_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/server"
	"gatehouse/internal/testenv"
)

// dial opens a connection on which a test speaks HTTP/1.1 by itself. It waits
// less long than the server does unless a time-out is shortened.
func dial(t *testing.T, e *testenv.Env) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", e.Server.Address().String(), &tls.Config{RootCAs: e.Roots, ServerName: "localhost", MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the server may have been quicker
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// timedOut reports that it was the test which lost its patience.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// A client that sends too slowly, or nothing more, is cut off. Each time-out is
// shortened by itself: where one is missing, another, longer one counts.
func TestSlowRequests(t *testing.T) {
	const soon = 300 * time.Millisecond
	for what, test := range map[string]struct {
		header, read, idle time.Duration
		begun              string
	}{
		"headers":         {soon, 0, 0, "GET / HTTP/1.1\r\nHost: local"},
		"a body":          {0, soon, soon, "POST /api/v1/session HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"},
		"a form":          {0, soon, 0, "POST /sign-in HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nemail="},
		"another request": {0, 0, soon, "GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n"},
	} {
		t.Run(what, func(t *testing.T) {
			defer server.Patience(test.header, test.read, 0, test.idle, 0)()
			e := testenv.Bare(t)
			conn := dial(t, e)
			if _, err := io.WriteString(conn, strings.ReplaceAll(test.begun, "HOST", strings.TrimPrefix(e.URL, "https://"))); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(conn); timedOut(err) {
				t.Error("whoever sends it slowly stays connected")
			}
		})
	}
}

// A client that does not read its answers is cut off.
func TestSlowReader(t *testing.T) {
	defer server.Patience(0, 0, 300*time.Millisecond, 0, 0)()
	e := testenv.Bare(t)
	conn := dial(t, e)
	request := "GET /static/app.css HTTP/1.1\r\nHost: " + strings.TrimPrefix(e.URL, "https://") + "\r\n\r\n"
	var err error
	for err == nil { // until the way there is full as well
		_, err = io.WriteString(conn, request)
	}
	if timedOut(err) {
		t.Error("who reads nothing stays connected")
	}
}
