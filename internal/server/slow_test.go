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

// dial opens a connection on which a test speaks HTTP/1.1 by itself, and waits
// for at most half a minute.
func dial(t *testing.T, e *testenv.Env) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", e.Server.Address().String(), &tls.Config{RootCAs: e.Roots, ServerName: "localhost", MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the server may have been quicker
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// timedOut reports that it was the test which lost its patience.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// A client that sends too slowly, or nothing more, is cut off.
func TestSlowRequests(t *testing.T) {
	defer server.Patience(200*time.Millisecond, 400*time.Millisecond, 0, 500*time.Millisecond, 0)()
	e := testenv.Bare(t)
	host := strings.TrimPrefix(e.URL, "https://")
	for what, begun := range map[string]string{
		"another request": "GET /healthz HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
		"headers":         "GET / HTTP/1.1\r\nHost: local",
		"a body":          "POST /api/v1/session HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		"a form":          "POST /sign-in HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nemail=",
	} {
		conn := dial(t, e)
		if _, err := io.WriteString(conn, begun); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); timedOut(err) {
			t.Errorf("who sends %s slowly stays connected", what)
		}
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
