package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
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
// whose work is in req/s, since they share the cores, and in caller-cpu-µs/op.
//
// Each is held against a bare net/http server in turns: its settings, its way in and
// its answers are the same, byte for byte, and it does nothing for them. What
// Gatehouse adds is the difference.
func BenchmarkToken(b *testing.B) {
	e, id, key := tokenHouse(b, testenv.Options{Change: func(c *server.Config) {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}})
	u, err := url.Parse(e.URL)
	if err != nil {
		b.Fatal(err)
	}
	body := `{"service":"graph"}`
	request := fmt.Appendf(nil, "POST /api/v1/connections/%s/token HTTP/1.1\r\nHost: %s\r\nUser-Agent: reports/1.0\r\nAuthorization: Bearer %s\r\nX-Forwarded-For: 198.51.100.7\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", id, u.Host, key, len(body), body)
	if _, err := e.NewClient(client.WithToken(key)).NewToken(b.Context(), id, client.TokenRequest{Service: "graph"}); err != nil {
		b.Fatal(err)
	}
	ours := server.Handler(e.Server)
	bare := sayAgain(b, ours, request, body)

	b.Run("handler", func(b *testing.B) { benchHandler(b, ours, request, body) })
	b.Run("proxy", func(b *testing.B) {
		benchCallers(b, [2]string{serve(b, e.Server, ours, false), serve(b, e.Server, bare, false)}, request)
	})
	b.Run("tls", func(b *testing.B) {
		benchCallers(b, [2]string{serve(b, e.Server, ours, true), serve(b, e.Server, bare, true)}, request, "CALLERS_CA="+e.Server.CAFile())
	})
}

// serve serves on a listener of its own with the settings of a server, and gives its
// address.
func serve(b *testing.B, s *server.Server, h http.Handler, withTLS bool) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	another, over := server.Alike(s, h, l, withTLS)
	var done sync.WaitGroup
	done.Go(func() { _ = another.Serve(over) }) // until it is closed
	b.Cleanup(func() {
		if err := another.Close(); err != nil {
			b.Error(err)
		}
		done.Wait()
	})
	return l.Addr().String()
}

// sayAgain answers whatever comes as a handler answered once.
func sayAgain(b *testing.B, h http.Handler, request []byte, body string) http.Handler {
	b.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		b.Fatal(err)
	}
	r.RemoteAddr, r.Body = "127.0.0.1:40000", io.NopCloser(strings.NewReader(body))
	once := httptest.NewRecorder()
	h.ServeHTTP(once, r)
	header, answer := once.Result().Header, once.Body.Bytes()
	if once.Code != http.StatusOK || header.Get("Content-Length") == "" {
		b.Fatal("answered with ", once.Code, header)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		maps.Copy(w.Header(), header)
		_, _ = w.Write(answer)
	})
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
	b.ReportMetric(micros(used, b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/took.Seconds(), "req/s")
}

func micros(d time.Duration, n int) float64 { return float64(d.Nanoseconds()) / 1000 / float64(n) }

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

// rounds are how often the servers of [benchCallers] take turns.
const rounds = 10

// benchCallers measures this process while another one sends requests to a server and
// to the bare one that it is held against, in turns.
func benchCallers(b *testing.B, addresses [2]string, request []byte, env ...string) {
	callers := dbtest.Start(b, "callers", append(env, "GOMAXPROCS=1", "CALLERS_ADDRESSES="+strings.Join(addresses[:], " "), "CALLERS_REQUEST="+string(request))...)
	callers.Await(b, "connected")
	var used, took [2]time.Duration
	var callersUsed time.Duration
	b.ResetTimer()
	b.StopTimer()
	for round := range rounds {
		n := b.N/rounds + min(1, max(0, b.N%rounds-round))
		for turn := range 2 {
			which := (round + turn) % 2 // each is the first as often as the other
			before, began := processorTime(b), time.Now()
			if which == 0 {
				b.StartTimer()
			}
			if _, err := fmt.Fprintln(callers.Stdin, which, n); err != nil {
				b.Fatal(err)
			}
			spent := callers.Await(b, "done")
			b.StopTimer()
			used[which] += processorTime(b) - before
			took[which] += time.Since(began)
			if d, err := time.ParseDuration(spent); err != nil {
				b.Fatal(err)
			} else if which == 0 {
				callersUsed += d
			}
		}
	}
	report(b, used[0], took[0])
	b.ReportMetric(micros(used[1], b.N), "bare-cpu-µs/op")
	b.ReportMetric(micros(used[0]-used[1], b.N), "added-cpu-µs/op")
	b.ReportMetric(float64(b.N)/took[1].Seconds(), "bare-req/s")
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "of-bare-req/s")
	b.ReportMetric(micros(callersUsed, b.N), "caller-cpu-µs/op")
	if err := callers.Stdin.Close(); err != nil {
		b.Fatal(err)
	}
	if err := callers.Wait(); err != nil {
		b.Fatal(err)
	}
}
