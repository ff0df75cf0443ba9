package sts

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // code apps use HMAC-SHA-1 (RFC 6238)
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// Prompt is a push that waits on a person's phone.
type Prompt struct {
	ID, TenantID, UserID, UPN, Name, App string
	Requested                            time.Time
	// Choices are three numbers of which one is on the screen; empty without
	// number matching: a call.
	Choices []int
}

// Text is a message with a code that was sent to a phone.
type Text struct {
	TenantID, UPN, Phone, Code string
	Sent                       time.Time
}

// push is a prompt and its answer. Guarded by the server's lock.
type push struct {
	Prompt
	number int
	answer string // "", "approved", "denied", "reported", "wrong number"
}

const (
	promptLife = 2 * time.Minute
	textLife   = 10 * time.Minute
	codeTries  = 3
	maxPrompts = 10_000
)

// attempt is the second factor of a flow on its way.
type attempt struct {
	method directory.Method
	way    string // "push", "call", "oath", "text"
	prompt *push
	code   string // that was sent as a text
	sent   time.Time
	tries  int
}

// Prompts are the pushes and calls that wait for an answer, oldest first.
func (s *Server) Prompts() []Prompt {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Prompt{}
	s.prompts.each(s.cfg.Store.Now(), func(p *push) {
		if p.answer == "" {
			open := p.Prompt
			open.Choices = slices.Clone(p.Choices)
			out = append(out, open)
		}
	})
	return out
}

// AnswerPrompt is what the person does with a prompt: "approve" with the number
// on the screen, "deny", or "report" as not their own. A wrong number and a
// denial end the attempt; the error is about prompts that are not open and
// actions that do not exist.
func (s *Server) AnswerPrompt(id, action string, number int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.prompts.get(id, s.cfg.Store.Now())
	if !ok || p.answer != "" {
		return errors.New("there is no open prompt of this id")
	}
	switch {
	case action == "deny":
		p.answer = "denied"
	case action == "report":
		p.answer = "reported"
	case action != "approve":
		return fmt.Errorf("the action %q does not exist; there are approve, deny and report", clip(action))
	case len(p.Choices) > 0 && number != p.number:
		p.answer = "wrong number"
	default:
		p.answer = "approved"
	}
	return nil
}

// Texts are the messages of the last ten minutes, newest first.
func (s *Server) Texts() []Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Text{}
	s.texts.each(s.cfg.Store.Now(), func(t Text) { out = append(out, t) })
	slices.Reverse(out)
	return out
}

func below(n int64) int {
	v, _ := rand.Int(rand.Reader, big.NewInt(n)) // fails for no n above 0
	return int(v.Int64())
}

// newPrompt puts a prompt on the person's phone.
func (s *Server) newPrompt(f *flow, matching bool) *push {
	now := s.cfg.Store.Now()
	user, _ := s.userID(f)
	p := &push{Prompt: Prompt{ID: directory.RandomID(), TenantID: f.tenant, UserID: user, UPN: f.upn, Name: f.name, App: f.app.Name, Requested: now}}
	for matching && len(p.Choices) < 3 {
		if n := 10 + below(90); !slices.Contains(p.Choices, n) {
			p.Choices = append(p.Choices, n)
		}
	}
	if matching {
		p.number = p.Choices[below(3)]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prompts.put(p.ID, p, now.Add(promptLife))
	return p
}

// answerOf tells how a prompt stands: its answer, or "no answer" once it has
// waited too long.
func (s *Server) answerOf(p *push) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.answer == "" && !s.cfg.Store.Now().Before(p.Requested.Add(promptLife)) {
		return "no answer"
	}
	return p.answer
}

// withdraw takes back a prompt that nobody waits for any more.
func (s *Server) withdraw(f *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.attempt != nil && f.attempt.prompt != nil {
		s.prompts.drop(f.attempt.prompt.ID)
	}
	f.attempt = nil
}

// option is one way to give a second factor.
type option struct {
	ID, Way, Title, Detail string
	method                 directory.Method
}

// options lists what a person can do with the registered methods. Security
// keys, Windows Hello and access passes need what the lab does not have.
func (f *flow) options() []option {
	var out []option
	for _, m := range f.methods {
		add := func(way, title, detail string) {
			if f.unfit[way] {
				return // a policy wants a stronger one
			}
			out = append(out, option{ID: m.ID + "/" + way, Way: way, Title: title, Detail: detail, method: m})
		}
		switch m.Type {
		case directory.Authenticator:
			add("push", "Approve on the phone", m.Name)
		case directory.SoftwareOATH:
			add("oath", "Use a code from the code app", m.Name)
		case directory.Phone:
			add("text", "Send a text message", maskPhone(m.Phone))
			add("call", "Call the phone", maskPhone(m.Phone))
		case directory.AlternatePhone, directory.OfficePhone:
			add("call", "Call the phone", maskPhone(m.Phone))
		}
	}
	return out
}

func maskPhone(number string) string {
	digits := []rune(number)
	for i := range digits {
		switch {
		case digits[i] == ' ':
			digits[i] = '\u00a0' // the number stays on one line
		case i > 2 && i < len(digits)-2:
			digits[i] = '•'
		}
	}
	return string(digits)
}

// sortMethods puts the method first that is asked for without a choice: the
// system's preference, or the person's (graph-mfa-posture §7).
func sortMethods(methods []directory.Method, u *directory.User) []directory.Method {
	order := []string{directory.Authenticator, directory.SoftwareOATH, directory.Phone, directory.AlternatePhone, directory.OfficePhone}
	preferred := map[string]string{"push": directory.Authenticator, "oath": directory.SoftwareOATH, "sms": directory.Phone, "voiceMobile": directory.Phone,
		"voiceAlternateMobile": directory.AlternatePhone, "voiceOffice": directory.OfficePhone}[u.DefaultMethod]
	rank := func(m directory.Method) int {
		if !u.SystemPreferred && m.Type == preferred {
			return -1
		}
		if i := slices.Index(order, m.Type); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(methods, func(a, b directory.Method) int { return rank(a) - rank(b) })
	return methods
}

// secondFactor decides where a flow stands that needs one. The first method is
// tried without asking.
func (s *Server) secondFactor(r *http.Request, f *flow) string {
	if f.attempt == nil {
		options := f.options()
		if f.choose || len(options) == 0 || f.ask.prompt == "none" {
			return atMethods
		}
		s.try(r, f, options[0])
	}
	a := f.attempt
	if a.prompt == nil {
		return atCode
	}
	switch answer := s.answerOf(a.prompt); answer {
	case "":
		return atPush
	case "approved":
		f.passMFA(a.way, s.cfg.Store.Now())
		return s.advance(r, f)
	default:
		s.failMFA(r, f, answer)
		return atMethods
	}
}

// passMFA takes a second factor that was given.
func (f *flow) passMFA(way string, now time.Time) {
	f.attempt, f.choose = nil, false
	f.proof, f.factorWay = f.with(way, now), way
	f.changed = true
}

// failMFA ends an attempt with 500121.
func (s *Server) failMFA(r *http.Request, f *flow, why string) {
	text := map[string]string{
		"denied": "The request was denied on the phone.", "reported": "The request was reported as not one's own on the phone.",
		"wrong number": "Another number was entered on the phone than the one on the screen.", "no answer": "The phone gave no answer in time.",
		"code": "The code was wrong too often.",
	}[why]
	f.problem = refuse("invalid_grant", 500121, "Authentication failed during the strong authentication request. %s", text)
	s.withdraw(f)
	f.choose = true
	s.logFlow(r, f, f.problem)
}

// logFlow writes an attempt of the flow's user to the sign-in log.
func (s *Server) logFlow(r *http.Request, f *flow, refused *refusal) {
	entry := f.entry()
	entry.UserID, entry.HomeTenant = s.userID(f)
	s.logSignIn(s.flowRequest(r, f), entry, refused)
}

// userID gives the ids of the flow's user and of the user's own tenant.
func (s *Server) userID(f *flow) (id, home string) {
	s.cfg.Store.View(f.tenant, func(t *directory.Tenant) {
		if sub, refused := findSubject(t, f.upn, s.cfg.Store.Now()); refused == nil {
			id, home = sub.user.ID, sub.home.ID
		}
	})
	return id, home
}

// try begins an attempt.
func (s *Server) try(_ *http.Request, f *flow, o option) {
	s.withdraw(f)
	f.choose = false
	now := s.cfg.Store.Now()
	f.attempt = &attempt{method: o.method, way: o.Way, sent: now}
	switch o.Way {
	case "push", "call":
		f.attempt.prompt = s.newPrompt(f, o.Way == "push")
	case "text":
		f.attempt.code = fmt.Sprintf("%06d", below(1_000_000))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.texts.put(directory.RandomID(), Text{TenantID: f.tenant, UPN: f.upn, Phone: o.method.Phone, Code: f.attempt.code, Sent: now}, now.Add(textLife))
	}
}

func (s *Server) chooseMethod(r *http.Request, f *flow, id string) {
	for _, o := range f.options() {
		if o.ID == id {
			s.try(r, f, o)
			return
		}
	}
	f.problem = refuse("invalid_request", 90014, "Choose one of the methods.")
}

// takeCode takes a code, or the wish for another method.
func (s *Server) takeCode(r *http.Request, f *flow, action, code string) {
	a := f.attempt
	if action == "remember" {
		f.dontAsk = f.rememberDays > 0
		return
	}
	if action == "other" {
		s.withdraw(f)
		f.choose = true
		return
	}
	if action == "again" && a.way != "oath" {
		s.try(r, f, option{Way: a.way, method: a.method})
		return
	}
	if a.prompt != nil {
		return
	}
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	now := s.cfg.Store.Now()
	ok := false
	if a.way == "text" {
		ok = now.Before(a.sent.Add(textLife)) && same(code, a.code)
	} else {
		ok = s.checkOATH(a.method.ID, a.method.Secret, code, now)
	}
	if ok {
		f.passMFA(a.way, now)
		return
	}
	if a.tries++; a.tries >= codeTries {
		s.failMFA(r, f, "code")
		return
	}
	f.problem = refuse("invalid_grant", 500121, "The code is not the right one, or it was used before. Wait for the next one and try again.")
	s.logFlow(r, f, f.problem)
}

// checkOATH checks a code of a code app (RFC 6238): of the present half minute,
// the one before or the one after, and each only once.
func (s *Server) checkOATH(id, secret, code string, now time.Time) bool {
	for step := int64(-1); step <= 1; step++ {
		counter := now.Unix()/30 + step
		expected, err := oath(secret, counter)
		if err != nil || !same(code, expected) {
			continue
		}
		key := fmt.Sprint(id, "/", counter)
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, used := s.used.get(key, now); used {
			return false
		}
		s.used.put(key, true, now.Add(3*time.Minute))
		return true
	}
	return false
}

// CodeAt is what a code app shows at a time (RFC 6238: six digits, half a
// minute, HMAC-SHA-1). The error is about a secret that is no base32.
func CodeAt(secret string, at time.Time) (string, error) { return oath(secret, at.Unix()/30) }

// oath is the six-digit code of a counter (RFC 4226).
func oath(secret string, counter int64) (string, error) {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.TrimRight(secret, "=")))
	if err != nil {
		return "", fmt.Errorf("reading the secret of a code app: %w", err)
	}
	var message [8]byte
	binary.BigEndian.PutUint64(message[:], uint64(counter))
	mac := hmac.New(sha1.New, key)
	mac.Write(message[:])
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0x0f
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:offset+4])&0x7fffffff%1_000_000), nil
}
