package notifytest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
)

// Letter is a mail as it arrived.
type Letter struct {
	From, To string // of the envelope
	Raw      string
	Header   mail.Header
	Subject  string // decoded
	Text     string
	HTML     string
	Secure   bool   // it came over TLS
	User     string // who had signed in
}

// MailServer takes mail on loopback, as RFC 5321 has it, with STARTTLS and
// AUTH PLAIN. Its fields are set before it is used, or through [MailServer.Set].
type MailServer struct {
	Address string

	mu       sync.Mutex
	behave   Behaviour
	letters  []Letter
	sessions int
	arrived  chan struct{}
}

// Behaviour is how a mail server differs from one that takes everything.
type Behaviour struct {
	NoStartTLS bool   // it does not offer it
	Whole      bool   // TLS from the first byte
	Wide       bool   // it knows SMTPUTF8
	Password   string // demands that one signs in with it
	Recipient  string // its answer to RCPT, "" for yes
	Drop       bool   // it hangs up after the end of the letter, without an answer
	Silent     bool   // it says nothing at all
}

// Mail starts a mail server, which ends with the test.
func Mail(t testing.TB, b Behaviour) *MailServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &MailServer{Address: listener.Addr().String(), behave: b, arrived: make(chan struct{}, 1000)}
	var all sync.WaitGroup
	open := map[net.Conn]bool{}
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			open[conn] = true
			s.sessions++
			s.mu.Unlock()
			all.Go(func() {
				defer conn.Close()
				s.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.mu.Lock()
		for conn := range open {
			_ = conn.Close()
		}
		s.mu.Unlock()
		all.Wait()
	})
	return s
}

// Set changes how the server behaves from now on.
func (s *MailServer) Set(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behave = b
}

// Letters are those that arrived.
func (s *MailServer) Letters() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Letter{}, s.letters...)
}

// Sessions is how often somebody connected.
func (s *MailServer) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// Arrived gets a value with each letter.
func (s *MailServer) Arrived() <-chan struct{} { return s.arrived }

// session is one connection.
type session struct {
	server  *MailServer
	b       Behaviour
	conn    net.Conn
	reader  *bufio.Reader
	secure  bool
	user    string
	letter  Letter
	stopped bool
}

func (s *MailServer) serve(conn net.Conn) {
	s.mu.Lock()
	c := &session{server: s, b: s.behave, conn: conn}
	s.mu.Unlock()
	if c.b.Whole {
		c.secured()
	}
	c.reader = bufio.NewReader(c.conn)
	if c.b.Silent {
		_, _ = io.Copy(io.Discard, c.conn) // until the other side gives up
		return
	}
	c.say("220 mail.example.com ESMTP")
	for !c.stopped {
		line, err := c.reader.ReadString('\n')
		if err != nil {
			return
		}
		c.answer(strings.TrimRight(line, "\r\n"))
	}
}

func (c *session) secured() {
	c.conn, c.secure = tls.Server(c.conn, serving()), true
	c.reader = bufio.NewReader(c.conn)
}

func (c *session) say(lines ...string) {
	_, _ = io.WriteString(c.conn, strings.Join(lines, "\r\n")+"\r\n") // a client that has gone
}

func (c *session) answer(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		c.greet()
	case "STARTTLS":
		c.say("220 go ahead")
		c.secured()
	case "AUTH":
		c.auth(rest)
	case "MAIL":
		if c.b.Password != "" && c.user == "" {
			c.say("530 5.7.0 sign in first")
			return
		}
		c.letter = Letter{From: rest, Secure: c.secure, User: c.user}
		c.say("250 2.1.0 fine")
	case "RCPT":
		c.letter.To = rest
		if c.b.Recipient != "" {
			c.say(c.b.Recipient)
			return
		}
		c.say("250 2.1.5 fine")
	case "DATA":
		c.data()
	case "QUIT":
		c.say("221 2.0.0 goodbye")
		c.stopped = true
	case "NOOP", "RSET":
		c.say("250 2.0.0 fine")
	default:
		c.say("502 5.5.2 what?")
	}
}

func (c *session) greet() {
	lines := []string{"250-mail.example.com", "250-8BITMIME", "250-ENHANCEDSTATUSCODES"}
	if !c.secure && !c.b.NoStartTLS {
		lines = append(lines, "250-STARTTLS")
	}
	if c.b.Password != "" {
		lines = append(lines, "250-AUTH PLAIN")
	}
	if c.b.Wide {
		lines = append(lines, "250-SMTPUTF8")
	}
	c.say(append(lines, "250 SIZE 1000000")...)
}

func (c *session) auth(rest string) {
	data, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
	parts := strings.Split(string(data), "\x00")
	if len(parts) != 3 || parts[2] != c.b.Password {
		c.say("535 5.7.8 wrong user name or password")
		return
	}
	c.user = parts[1]
	c.say("235 2.7.0 welcome")
}

func (c *session) data() {
	c.say("354 go on")
	var raw bytes.Buffer
	for {
		line, err := c.reader.ReadString('\n')
		if err != nil {
			c.stopped = true
			return
		}
		if line == ".\r\n" {
			break
		}
		raw.WriteString(strings.TrimPrefix(line, "."))
	}
	c.letter.Raw = raw.String()
	c.letter.read()
	c.server.mu.Lock()
	c.server.letters = append(c.server.letters, c.letter)
	c.server.mu.Unlock()
	c.server.arrived <- struct{}{}
	if c.b.Drop {
		c.stopped = true
		return
	}
	c.say("250 2.0.0 queued as TEST-1")
}

// read takes the letter apart. What cannot be read stays empty.
func (l *Letter) read() {
	m, err := mail.ReadMessage(strings.NewReader(l.Raw))
	if err != nil {
		return
	}
	l.Header = m.Header
	l.Subject, _ = (&mime.WordDecoder{}).DecodeHeader(m.Header.Get("Subject"))
	_, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return
	}
	parts := multipart.NewReader(m.Body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			return
		}
		var body io.Reader = part
		if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
			body = quotedprintable.NewReader(part)
		}
		text, _ := io.ReadAll(body)
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			l.HTML = string(text)
		} else {
			l.Text = string(text)
		}
	}
}

// String is for messages of tests.
func (l Letter) String() string {
	return fmt.Sprintf("from %s to %s: %s", l.From, l.To, l.Subject)
}
