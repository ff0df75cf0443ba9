package server_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
)

// callersConnections is how many requests are under way at once.
const callersConnections = 16

// callers is the process of [benchCallers]. It is to cost as little as it can, as it
// shares the machine with what is measured: it writes a prepared request on
// connections that stay, and compares each answer with the first. For each line that
// it reads, the number of an address and how many requests it is to get, it prints
// what it has had of the processors meanwhile.
func callers() {
	if err := callAll(strings.Fields(os.Getenv("CALLERS_ADDRESSES")), []byte(os.Getenv("CALLERS_REQUEST"))); err != nil {
		fmt.Fprintln(os.Stderr, "calling:", err)
		os.Exit(1)
	}
}

func callAll(addresses []string, request []byte) error {
	all := make([][]*asker, len(addresses))
	for i, address := range addresses {
		for range callersConnections {
			c, err := dialServer(address)
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			a := &asker{conn: c, request: request, in: make([]byte, 16<<10)}
			if err := a.ask(1); err != nil {
				return err
			}
			all[i] = append(all[i], a)
		}
	}
	fmt.Println("connected")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var which, n int
		if _, err := fmt.Sscan(lines.Text(), &which, &n); err != nil {
			return err
		}
		before := ownProcessorTime()
		if err := share(all[which], n); err != nil {
			return err
		}
		fmt.Println("done", ownProcessorTime()-before)
	}
	return nil
}

// share has so many requests sent by several.
func share(askers []*asker, n int) error {
	errs := make([]error, len(askers))
	var wg sync.WaitGroup
	for i, a := range askers {
		part := n / len(askers)
		if i < n%len(askers) {
			part++
		}
		wg.Go(func() { errs[i] = a.ask(part) })
	}
	wg.Wait()
	return errors.Join(errs...)
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

// asker sends requests on one connection.
type asker struct {
	conn    net.Conn
	request []byte
	in      []byte
	body    []byte // of the first answer
}

// ask sends the request n times, each after the answer to the one before, and demands
// the same token each time.
func (a *asker) ask(n int) error {
	for range n {
		if _, err := a.conn.Write(a.request); err != nil {
			return err
		}
		have, want, head := 0, -1, 0
		for want < 0 || have < want {
			more, err := a.conn.Read(a.in[have:])
			if err != nil {
				return err
			}
			if have += more; want < 0 {
				if head, want, err = length(a.in[:have]); err != nil {
					return err
				}
			}
		}
		body := a.in[head:have]
		if a.body == nil && bytes.HasPrefix(body, []byte(`{"access_token":"ey`)) {
			a.body = bytes.Clone(body)
		}
		if !bytes.HasPrefix(a.in, []byte("HTTP/1.1 200 ")) || have > want || !bytes.Equal(body, a.body) {
			return fmt.Errorf("answered with %.200q", a.in[:have])
		}
	}
	return nil
}

// length is that of the head of an answer with this beginning, and of the whole
// answer, -1 if it does not say yet.
func length(answer []byte) (head, all int, err error) {
	head = bytes.Index(answer, []byte("\r\n\r\n")) + 4
	if head < 4 {
		return 0, -1, nil
	}
	_, rest, _ := bytes.Cut(answer[:head], []byte("\r\nContent-Length: "))
	digits, _, _ := bytes.Cut(rest, []byte("\r\n"))
	n, err := strconv.Atoi(string(digits))
	if err != nil {
		return 0, 0, fmt.Errorf("an answer without its length: %.200q", answer)
	}
	return head, head + n, nil
}
