package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/server"
	"gatehouse/internal/sqldb/dbtest"
	"gatehouse/internal/testenv"
)

// BenchmarkToken is what a cached token costs the server whose caller has an API
// key, with what is logged by default. The bars are 50 µs of a processor for a
// request and 15,000 requests a second on two cores.
//
// "handler" is all that Gatehouse does itself, without net/http. "proxy" is the
// server as it stands behind a proxy that ends TLS, "tls" one that ends it itself:
// over connections that are there already, to callers in a process of their own,
// whose work is in req/s, since they share the cores, and not in cpu-µs/op.
func BenchmarkToken(b *testing.B) {
	e, id, key := tokenHouse(b, testenv.Options{Change: func(c *server.Config) {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}})
	u, err := url.Parse(e.URL)
	if err != nil {
		b.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = server.ServePlain(e.Server, plain) }() // ends with the server
	body := `{"service":"graph"}`
	request := fmt.Appendf(nil, "POST /api/v1/connections/%s/token HTTP/1.1\r\nHost: %s\r\nUser-Agent: reports/1.0\r\nAuthorization: Bearer %s\r\nX-Forwarded-For: 198.51.100.7\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", id, u.Host, key, len(body), body)
	if _, err := e.NewClient(client.WithToken(key)).NewToken(b.Context(), id, client.TokenRequest{Service: "graph"}); err != nil {
		b.Fatal(err)
	}

	b.Run("handler", func(b *testing.B) { benchHandler(b, server.Handler(e.Server), request, body) })
	b.Run("proxy", func(b *testing.B) { benchCallers(b, plain.Addr().String(), request) })
	b.Run("tls", func(b *testing.B) { benchCallers(b, u.Host, request, "CALLERS_CA="+e.Server.CAFile()) })
}

// benchHandler measures a handler alone.
func benchHandler(b *testing.B, h http.Handler, request []byte, body string) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		b.Fatal(err)
	}
	r.RemoteAddr = "127.0.0.1:40000"
	header := r.Header
	b.ReportAllocs()
	before := processorTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			one := r.WithContext(context.Background())
			one.Header, one.Body = maps.Clone(header), io.NopCloser(bytes.NewReader([]byte(body)))
			w := &answered{header: http.Header{}, status: http.StatusOK}
			h.ServeHTTP(w, one)
			if w.status != http.StatusOK || w.size < 500 {
				b.Error("status", w.status, "with", w.size, "bytes")
				return
			}
		}
	})
	report(b, processorTime(b)-before, b.Elapsed())
}

func report(b *testing.B, used, took time.Duration) {
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/took.Seconds(), "req/s")
}

// answered counts what is answered.
type answered struct {
	header       http.Header
	status, size int
}

func (w *answered) Header() http.Header { return w.header }

func (w *answered) WriteHeader(status int) { w.status = status }

func (w *answered) Write(data []byte) (int, error) {
	w.size += len(data)
	return len(data), nil
}

// benchCallers measures this process while another one sends requests to it.
func benchCallers(b *testing.B, address string, request []byte, env ...string) {
	callers := dbtest.Start(b, "callers", append(env, "CALLERS_ADDRESS="+address, "CALLERS_REQUEST="+string(request), "CALLERS_REQUESTS="+strconv.Itoa(b.N))...)
	callers.Await(b, "connected")
	before := processorTime(b)
	b.ResetTimer()
	if _, err := io.WriteString(callers.Stdin, "go\n"); err != nil {
		b.Fatal(err)
	}
	callers.Await(b, "done")
	b.StopTimer()
	report(b, processorTime(b)-before, b.Elapsed())
	if err := callers.Wait(); err != nil {
		b.Fatal(err)
	}
}

// callersConnections is how many requests are under way at once.
const callersConnections = 16

// callers is the process of [benchCallers].
func callers() {
	if err := call(os.Getenv("CALLERS_ADDRESS"), []byte(os.Getenv("CALLERS_REQUEST"))); err != nil {
		fmt.Fprintln(os.Stderr, "calling:", err)
		os.Exit(1)
	}
}

func call(address string, request []byte) error {
	n, err := strconv.Atoi(os.Getenv("CALLERS_REQUESTS"))
	if err != nil {
		return err
	}
	conns := make([]net.Conn, min(n, callersConnections))
	for i := range conns {
		if conns[i], err = dialServer(address); err != nil {
			return err
		}
		defer func() { _ = conns[i].Close() }()
		if err := ask(conns[i], request, 1); err != nil {
			return err
		}
	}
	fmt.Println("connected")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(conns))
	for i, c := range conns {
		part := n / len(conns)
		if i < n%len(conns) {
			part++
		}
		wg.Go(func() { errs[i] = ask(c, request, part) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Println("done")
	return nil
}

func dialServer(address string) (net.Conn, error) {
	file := os.Getenv("CALLERS_CA")
	if file == "" {
		return net.Dial("tcp", address) //nolint:gosec // the address is the benchmark's
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the test's
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return tls.Dial("tcp", address, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13, ServerName: "localhost"})
}

// ask sends a request n times, each after the answer to the one before, and reads no
// more of the answers than it must.
func ask(c net.Conn, request []byte, n int) error {
	in := make([]byte, 16<<10)
	for range n {
		if _, err := c.Write(request); err != nil {
			return err
		}
		have, want := 0, -1
		for want < 0 || have < want {
			more, err := c.Read(in[have:])
			if err != nil {
				return err
			}
			if have += more; want < 0 {
				want = length(in[:have])
			}
		}
		if !bytes.HasPrefix(in, []byte("HTTP/1.1 200 ")) || have > want {
			return fmt.Errorf("answered with %.200q", in[:have])
		}
	}
	return nil
}

// length is that of an answer with this beginning, -1 if it does not say yet.
func length(answer []byte) int {
	head, _, ok := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !ok {
		return -1
	}
	if bytes.Contains(head, []byte("\r\nTransfer-Encoding: chunked")) {
		if bytes.HasSuffix(answer, []byte("\r\n0\r\n\r\n")) {
			return len(answer)
		}
		return -1
	}
	_, rest, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
	digits, _, _ := bytes.Cut(rest, []byte("\r\n"))
	n, err := strconv.Atoi(string(digits))
	if err != nil {
		return 0 // which is too short
	}
	return len(head) + 4 + n
}
