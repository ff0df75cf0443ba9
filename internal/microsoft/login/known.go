package login

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Known keeps, for a short time, what the sign-in service says to everybody: a
// tenant's metadata, and the realm of a user name. MSAL asks for both at each
// sign-in, which many sign-ins in a row would spend much time on. Nothing that
// needs a credential is kept. The zero value works, and may be used by many
// goroutines.
type Known struct {
	// Now is the clock; nil means the system's.
	Now func() time.Time

	mu      sync.Mutex
	answers map[string]answer
}

// answer is one that is kept.
type answer struct {
	status               int
	header               http.Header
	body                 []byte
	received, serverTime time.Time
}

const (
	// knownFor is so short that whoever changes a domain's federation, and
	// then tries, gets what is true.
	knownFor = 30 * time.Second
	// mostKnown bounds what is kept.
	mostKnown = 5000
)

func (k *Known) now() time.Time {
	if k.Now == nil {
		return time.Now()
	}
	return k.Now()
}

// forAll gives the key of a request whose answer does not depend on who asks; ""
// for any other. A realm is that of the whole user name: in a domain that is
// moved step by step, people differ.
func forAll(r *http.Request) string {
	path := strings.ToLower(r.URL.Path)
	if r.Method != http.MethodGet || !strings.HasSuffix(path, "/.well-known/openid-configuration") && !strings.HasPrefix(path, "/common/userrealm/") {
		return ""
	}
	return r.URL.Scheme + "://" + r.URL.Host + r.URL.EscapedPath() + "?" + r.URL.RawQuery
}

func (k *Known) find(r *http.Request) (answer, bool) {
	if k == nil {
		return answer{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	a, ok := k.answers[forAll(r)]
	return a, ok && k.now().Sub(a.received).Abs() < knownFor
}

func (k *Known) keep(r *http.Request, a answer) {
	key := forAll(r)
	if k == nil || key == "" || a.status != http.StatusOK {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.answers == nil || len(k.answers) >= mostKnown {
		k.answers = map[string]answer{}
	}
	k.answers[key] = a
}

func (a answer) response() *http.Response {
	return &http.Response{StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: a.header.Clone(), Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body))}
}
