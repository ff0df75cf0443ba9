package egress_test

import (
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"gatehouse/internal/egress"
)

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"8.8.8.8": "", "1.1.1.1": "", "100.63.255.255": "", "100.128.0.0": "", "172.15.255.255": "", "172.32.0.0": "", "223.255.255.255": "", "2a00:1450:4001::1": "", "2606:4700::1111": "",
		"0.0.0.0": "unspecified", "0.1.2.3": "this network", "127.0.0.1": "this machine", "127.255.255.255": "this machine", "10.1.2.3": "private", "172.16.0.1": "private", "172.31.255.255": "private",
		"192.168.1.1": "private", "169.254.1.1": "link-local", "169.254.169.254": "metadata", "169.254.170.2": "metadata", "168.63.129.16": "metadata", "100.64.0.1": "CGNAT", "100.100.100.200": "metadata",
		"192.0.0.192": "metadata", "192.0.0.1": "protocols", "192.0.2.1": "documentation", "198.18.0.1": "measurements", "224.0.0.1": "multicast", "239.255.255.255": "multicast", "240.0.0.1": "reserved", "255.255.255.255": "reserved",
		"::": "unspecified", "::1": "this machine", "fe80::1": "link-local", "fe80::1%eth0": "interface", "fc00::1": "private", "fd00:ec2::254": "metadata", "fd12::1": "private", "fec0::1": "private", "ff02::1": "multicast",
		"::ffff:127.0.0.1": "this machine", "::ffff:10.0.0.1": "private", "::ffff:8.8.8.8": "", "::127.0.0.1": "reserved", "::ffff:0:127.0.0.1": "reserved",
		"2002:7f00:1::": "127.0.0.1, which is this machine", "2002:a9fe:a9fe::1": "metadata", "2002:808:808::1": "",
		"64:ff9b::127.0.0.1": "this machine", "64:ff9b::a9fe:a9fe": "metadata", "64:ff9b::8.8.8.8": "", "64:ff9b:1::8.8.8.8": "NAT64", "64:ff9b:0:1::1": "reserved",
		"2001::1": "Teredo", "2001:0:53aa:64c:0:fbfe:f5ff:fffe": "Teredo", "2001:db8::1": "documentation", "2001:10::1": "protocols", "3fff::1": "documentation",
		"2a00:1450::5efe:10.0.0.1": "private", "2a00:1450::200:5efe:127.0.0.1": "this machine", "2a00:1450::5efe:8.8.8.8": "", "100::1": "reserved", "4000::1": "reserved",
	} {
		why := egress.Forbidden(netip.MustParseAddr(address))
		if (why == "") != (want == "") || !strings.Contains(why, want) {
			t.Errorf("%s %q, want %q", address, why, want)
		}
	}
}

func TestAllow(t *testing.T) {
	allow := func(list ...string) (out []netip.Prefix) {
		for _, p := range list {
			out = append(out, netip.MustParsePrefix(p))
		}
		return out
	}
	for _, c := range []struct {
		address string
		allow   []netip.Prefix
		want    bool
	}{
		{"10.1.2.3", allow("10.0.0.0/8"), true}, {"::ffff:10.1.2.3", allow("10.0.0.0/8"), true}, {"10.1.2.3", allow("10.1.2.4/32"), false}, {"fd12::1", allow("fd12::/16"), true},
		{"169.254.169.254", allow("169.254.0.0/16", "0.0.0.0/0"), false}, {"169.254.169.254", allow("169.254.169.254/32"), true}, {"fd00:ec2::254", allow("::/0"), false}, {"fd00:ec2::254", allow("fd00:ec2::254/128"), true},
		{"2002:0a01:0203::", allow("10.0.0.0/8"), false}, {"8.8.8.8", nil, true},
	} {
		if got := egress.Allowed(netip.MustParseAddr(c.address), c.allow); got != c.want {
			t.Errorf("%s with %v: %v, want %v", c.address, c.allow, got, c.want)
		}
	}
}

// FuzzAddress: what is let through is public in every reading of its bytes.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"127.0.0.1", "::1", "2002:7f00:1::", "64:ff9b::7f00:1", "fe80::1%lo", "2001::", "8.8.8.8"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := netip.ParseAddr(text)
		if err != nil || egress.Forbidden(a) != "" {
			return
		}
		b := a.Unmap()
		if !b.IsGlobalUnicast() || b.IsPrivate() || b.IsLoopback() || b.IsLinkLocalUnicast() || b.IsMulticast() || b.IsUnspecified() || b.Zone() != "" {
			t.Errorf("%s was let through", a)
		}
		if b.Is6() {
			bytes := b.As16()
			if bytes[0] == 0x20 && bytes[1] == 0x02 {
				if inner := netip.AddrFrom4([4]byte(bytes[2:6])); inner.IsPrivate() || inner.IsLoopback() || inner.IsLinkLocalUnicast() {
					t.Errorf("%s, which leads to %s, was let through", a, inner)
				}
			}
		}
	})
}

// server listens on a loopback address of its own and counts what reaches it.
func server(t *testing.T, address string, handle http.HandlerFunc) (base string, hits *atomic.Int64, roots *x509.CertPool) {
	t.Helper()
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	hits = &atomic.Int64{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		handle(w, r)
	}))
	_ = s.Listener.Close()
	s.Listener = l
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.URL, hits, roots
}

func fine(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine") }

func get(client *http.Client, address string) (string, error) {
	response, err := client.Get(address)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func refused(err error) bool {
	var r *egress.Refused
	return errors.As(err, &r)
}

func TestClient(t *testing.T) {
	base, hits, roots := server(t, "127.0.0.1", fine)
	if _, err := get(egress.New(egress.Config{Roots: roots}), base); !refused(err) || hits.Load() != 0 || !strings.Contains(err.Error(), "egress_allow") {
		t.Errorf("this machine: %v, %d requests", err, hits.Load())
	}
	client := egress.New(egress.Config{Roots: roots, Allow: prefixes("127.0.0.1/32")})
	if body, err := get(client, base); err != nil || body != "fine" {
		t.Errorf("allowed: %q, %v", body, err)
	}
	if _, err := get(egress.New(egress.Config{Allow: prefixes("127.0.0.1/32")}), base); err == nil {
		t.Error("a certificate that nobody vouches for was accepted")
	}
	for name, address := range map[string]string{"password": strings.Replace(base, "https://", "https://a:b@", 1), "file": "file:///etc/passwd", "ftp": "ftp://127.0.0.1/"} {
		if _, err := get(client, address); err == nil {
			t.Errorf("%s: fetched", name)
		}
	}
	if client.Jar != nil {
		t.Error("the client keeps cookies")
	}
}

// A proxy from the environment would look names up by itself: it is not used.
func TestNoProxy(t *testing.T) {
	base, _, roots := server(t, "127.0.0.1", fine)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	if body, err := get(egress.New(egress.Config{Roots: roots, Allow: prefixes("127.0.0.1/32")}), base); err != nil || body != "fine" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestPlain(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(fine))
	defer s.Close()
	if body, err := get(egress.New(egress.Config{Allow: prefixes("127.0.0.0/8")}), s.URL); err != nil || body != "fine" {
		t.Errorf("plain HTTP to an allowed address: %q, %v", body, err)
	}
	if err := egress.Control(true, "8.8.8.8:80", nil); err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("plain HTTP to a public address: %v", err)
	}
	if err := egress.Control(false, "8.8.8.8:443", nil); err != nil {
		t.Errorf("a public address: %v", err)
	}
}

func TestRedirects(t *testing.T) {
	inside, hits, roots := server(t, "127.0.0.1", fine)
	turns := 0
	outside, _, _ := server(t, "127.0.0.2", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/in":
			http.Redirect(w, r, inside, http.StatusFound)
		case "/plain":
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		case "/turn":
			turns++
			http.Redirect(w, r, "/turn", http.StatusFound)
		case "/three":
			fmt.Fprint(w, "arrived")
		case "/thr":
			http.Redirect(w, r, "/thre", http.StatusFound)
		case "/thre":
			http.Redirect(w, r, "/three", http.StatusFound)
		}
	})
	port := outside[strings.LastIndex(outside, ":"):]
	client := egress.New(egress.Config{Roots: roots, Allow: prefixes("127.0.0.2/32"), Resolver: names(t, func(int) string { return "127.0.0.2" })})
	base := "https://example.com" + port
	if _, err := get(client, base+"/in"); !refused(err) || hits.Load() != 0 {
		t.Errorf("redirected to this machine: %v, %d requests", err, hits.Load())
	}
	if _, err := get(client, base+"/plain"); !refused(err) {
		t.Errorf("redirected to plain HTTP: %v", err)
	}
	if _, err := get(client, base+"/turn"); err == nil || turns != 4 {
		t.Errorf("redirected for ever: %v after %d requests", err, turns)
	}
	if body, err := get(client, base+"/thr"); err != nil || body != "arrived" {
		t.Errorf("two redirects: %q, %v", body, err)
	}
}

// A name that means something else at the second look-up does not lead inside.
func TestRebinding(t *testing.T) {
	outside, _, roots := server(t, "127.0.0.2", fine)
	port := outside[strings.LastIndex(outside, ":"):]
	l, err := net.Listen("tcp", "127.0.0.1"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reached := make(chan struct{}, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			_ = c.Close()
		}
	}()
	client := egress.New(egress.Config{Roots: roots, Allow: prefixes("127.0.0.2/32"), Resolver: names(t, func(look int) string {
		return []string{"127.0.0.2", "127.0.0.1"}[min(look, 1)]
	})})
	if body, err := get(client, "https://example.com"+port); err != nil || body != "fine" {
		t.Fatalf("before: %q, %v", body, err)
	}
	client.CloseIdleConnections()
	if _, err := get(client, "https://example.com"+port); !refused(err) || len(reached) != 0 {
		t.Errorf("afterwards: %v, reached %d times", err, len(reached))
	}
}

// names resolves every name to the address that is told for the look-up of
// that number.
func names(t *testing.T, address func(look int) string) *net.Resolver {
	t.Helper()
	looks := 0
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer ours.Close()
			_ = ours.SetDeadline(time.Now().Add(10 * time.Second))
			size := make([]byte, 2)
			if _, err := io.ReadFull(ours, size); err != nil {
				return
			}
			query := make([]byte, int(size[0])<<8|int(size[1]))
			if _, err := io.ReadFull(ours, query); err != nil {
				return
			}
			var p dnsmessage.Parser
			header, err := p.Start(query)
			if err != nil {
				return
			}
			question, err := p.Question()
			if err != nil {
				return
			}
			header.Response, header.Authoritative = true, true
			b := dnsmessage.NewBuilder([]byte{0, 0}, header)
			_ = b.StartQuestions()
			_ = b.Question(question)
			if question.Type == dnsmessage.TypeA {
				_ = b.StartAnswers()
				_ = b.AResource(dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class}, dnsmessage.AResource{A: netip.MustParseAddr(address(looks)).As4()})
				looks++
			}
			message, err := b.Finish()
			if err != nil {
				return
			}
			message[0], message[1] = byte((len(message)-2)>>8), byte(len(message)-2)
			_, _ = ours.Write(message)
		}()
		return theirs, nil
	}}
}

func TestBounds(t *testing.T) {
	base, _, roots := server(t, "127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.CopyN(z, zeros{}, 10<<20)
			_ = z.Close()
		case "/slow":
			<-r.Context().Done()
		default:
			fmt.Fprint(w, strings.Repeat("x", 1000))
		}
	})
	client := egress.New(egress.Config{Roots: roots, Allow: prefixes("127.0.0.1/32"), MaxBytes: 1000, Timeout: 5 * time.Second})
	if body, err := get(client, base); err != nil || len(body) != 1000 {
		t.Errorf("at the bound: %d bytes, %v", len(body), err)
	}
	if _, err := get(client, base+"/bomb"); err == nil || !strings.Contains(err.Error(), "larger than 1000 bytes") {
		t.Errorf("ten megabytes in a small answer: %v", err)
	}
	hasty := egress.New(egress.Config{Roots: roots, Allow: prefixes("127.0.0.1/32"), Timeout: 50 * time.Millisecond})
	if _, err := get(hasty, base+"/slow"); err == nil {
		t.Error("an answer that does not come was waited for")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
