package diagnosis

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"gatehouse/internal/microsoft"
)

// Explain reads a text as a person pastes it. It never fails: a text that says
// nothing known gives category "other" with low confidence and the way to a
// better text.
func Explain(text string) Diagnosis {
	k := kb()
	f := k.find(text, 0)
	return k.render(f, Facts{})
}

// Of reads an error of our own clients, wrapped at any depth, in the light of
// what the caller knows beyond it. Whether a person could have answered a
// prompt comes from facts, never from words of the error.
func Of(err error, facts Facts) Diagnosis {
	k := kb()
	f := k.ofError(err, k.factsMask(facts))
	f.contexts = f.contexts&^k.named("unattended", "interactive", "app_only") | k.factsMask(facts)
	return k.render(f, facts)
}

// Foresee says what [Of] would say about a refusal that has not happened yet:
// the code, by its number, is the one that the rule in facts leads to. Where
// that is not known, 0, it is a demand for MFA.
func Foresee(code int, facts Facts) Diagnosis {
	k := kb()
	f := finding{entry: int32(k.byID["mfa-required"]), confidence: High, contexts: k.factsMask(facts)}
	info, known := k.codes[code]
	if known {
		f.entry = int32(info.entry)
	}
	d := k.render(f, facts)
	if known {
		name := "AADSTS" + strconv.Itoa(code)
		d.Code = &name
	}
	return d
}

// named gives the set of circumstances, passing over names that the knowledge
// base does not have.
func (k *knowledge) named(names ...string) contextMask {
	var m contextMask
	for _, name := range names {
		if bit, ok := k.contexts[name]; ok {
			m |= 1 << bit
		}
	}
	return m
}

func (k *knowledge) factsMask(facts Facts) contextMask {
	switch {
	case facts.AppOnly:
		return k.named("app_only")
	case facts.Unattended:
		return k.named("unattended")
	}
	return k.named("interactive")
}

// ofError finds the cause in an error value.
func (k *knowledge) ofError(err error, extra contextMask) finding {
	var e *microsoft.Error
	if !errors.As(err, &e) {
		return k.transport(err, extra)
	}
	if e.Status == 0 && e.Code == "" {
		return k.transport(e, extra)
	}
	extra |= k.named(e.Service, strconv.Itoa(e.Status))
	parts := []string{e.Code, e.OAuth, e.Suberror, e.Message}
	if len(e.Body) <= microsoft.MaxErrorBody {
		parts = append(parts, string(e.Body))
	}
	f := k.find(strings.Join(parts, "\n"), extra)
	if f.code == "" && e.Code != "" {
		f.code = e.Code
	}
	if e.Code != "" && f.confidence == High {
		// The service itself gave the code: words around it are no second opinion.
		f.others, f.shares = nil, nil
	}
	if e.Code == "" && e.Status/100 == 2 {
		// Our clients make an error of a good status only where the answer is not
		// the service's.
		return finding{entry: int32(k.byID["not-from-microsoft"]), confidence: Medium, contexts: extra}
	}
	if e.Code == "" && e.Status != 429 && e.Status < 500 && !readable(e) {
		// Only the page's own words count: a proxy's 403 is no missing permission.
		if f = k.find(string(e.Body), 0); f.confidence != High {
			return finding{entry: int32(k.byID["not-from-microsoft"]), confidence: Medium, contexts: extra}
		}
	}
	return f
}

// readable reports whether an answer has one of the forms that Microsoft's
// services use: JSON, XML, plain text, or nothing; an HTML page or broken JSON
// comes from something in between.
func readable(e *microsoft.Error) bool {
	body := bytes.TrimSpace(e.Body)
	switch {
	case len(body) == 0:
		return true
	case strings.Contains(e.ContentType, "html"), bytes.HasPrefix(bytes.ToLower(body[:min(len(body), 9)]), []byte("<!doctype")):
		return false
	case strings.Contains(e.ContentType, "json"), body[0] == '{', body[0] == '[':
		return json.Valid(body)
	}
	return true
}

// transport finds the cause where no answer arrived.
func (k *knowledge) transport(err error, extra contextMask) finding {
	id := ""
	var (
		dns       *net.DNSError
		op        *net.OpError
		request   *url.Error // the connection ended before an answer
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		timeout   interface{ Timeout() bool }
	)
	switch {
	case err == nil:
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		id = "clock-or-certificate-expired"
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify), errors.As(err, &record):
		id = "tls-not-trusted"
	case errors.As(err, &dns):
		id = "host-not-found"
	case errors.Is(err, context.Canceled):
		id = "cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		id = "timed-out"
	case errors.As(err, &op), errors.As(err, &request), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		id = "host-unreachable"
	}
	if id != "" {
		return finding{entry: int32(k.byID[id]), confidence: High, contexts: extra}
	}
	if err == nil {
		return finding{entry: -1, confidence: Low, contexts: extra}
	}
	// What was attempted, in our own words, is no sign of the cause.
	var e *microsoft.Error
	if errors.As(err, &e) && e.Err != nil {
		err = e.Err
	}
	if text := err.Error(); slices.ContainsFunc(brokenStream, func(sign string) bool { return strings.Contains(text, sign) }) {
		return finding{entry: int32(k.byID["host-unreachable"]), confidence: High, contexts: extra}
	}
	return k.find(err.Error(), extra)
}

// brokenStream are words of net/http's errors of HTTP/2, which have no type that
// others can name.
var brokenStream = []string{"stream error: ", "server sent GOAWAY", "client connection lost"}

// render turns a finding into the diagnosis: texts, actor, remedies.
func (k *knowledge) render(f finding, facts Facts) Diagnosis {
	if f.entry < 0 {
		f.entry, f.confidence = int32(k.byID["not-recognised"]), Low
	}
	e := &k.entries[f.entry]
	d := Diagnosis{
		Entry: e.ID, Category: e.Category, Title: e.Title, Cause: e.Cause, Sure: e.Sure,
		Actor: e.actor(f.contexts), Confidence: f.confidence,
		Remedies: e.remediesIn(f.contexts), Alternatives: []Alternative{},
	}
	if e.Detail != "" {
		d.Detail = &e.Detail
	}
	if f.code != "" {
		d.Code = &f.code
	}
	if f.means != "" {
		d.Cause += " The code " + f.code + " means: " + f.means + "."
	}
	for i, o := range f.others {
		other := &k.entries[o]
		d.Alternatives = append(d.Alternatives, Alternative{Category: other.Category,
			Actor: other.actor(f.contexts), Cause: fill(other.Cause, facts), Confidence: f.shares[i]})
	}
	k.applyRule(&d, f, facts)
	d.Title, d.Cause, d.Sure = fill(d.Title, facts), fill(d.Cause, facts), fill(d.Sure, facts)
	for i := range d.Remedies {
		r := &d.Remedies[i]
		r.Title = fill(r.Title, facts)
		steps := make([]string, len(r.Steps))
		for j, s := range r.Steps {
			steps[j] = fill(s, facts)
		}
		r.Steps = steps
	}
	return d
}

func (e *entry) actor(in contextMask) Actor {
	for i, c := range e.conds {
		if in&c == c {
			return e.Actors[i].Actor
		}
	}
	return e.Actor
}

func (e *entry) remediesIn(in contextMask) []Remedy {
	list := e.remedies
	for i, c := range e.remConds {
		if in&c == c {
			list = e.when[i]
			break
		}
	}
	return slices.Clone(list)
}

// applyRule names the rule where it is proved: title, cause and remedies become
// those of the rule, category and code stay what the service said.
func (k *knowledge) applyRule(d *Diagnosis, f finding, facts Facts) {
	if facts.Rule == nil {
		return
	}
	rule, ok := k.rules[facts.Rule.Kind]
	if !ok || !slices.Contains(rule.Categories, d.Category) {
		return
	}
	enrol := d.Category == "mfa_enrollment" || facts.Registered != nil && !*facts.Registered
	d.Title, d.Cause, d.Confidence, d.Sure = rule.Title, rule.Cause, High, ""
	if facts.Confidence != "" {
		d.Confidence = facts.Confidence
	}
	if facts.Why != "" {
		d.Cause += " " + strings.ToUpper(facts.Why[:1]) + facts.Why[1:] + "."
	}
	if f.code != "" {
		d.Cause += " The sign-in service answered " + f.code + "."
	}
	if enrol && rule.Enrol != "" {
		d.Cause += " " + rule.Enrol
	}
	if facts.Unattended {
		d.Actor = Operator
	}
	// What a tenant alone decides (consent, assignment) is its administrator's,
	// whoever met the refusal.
	if rule.Actor != "" {
		d.Actor = rule.Actor
	}
	d.Remedies = d.Remedies[:0:0]
	if enrol && !facts.Unattended && slices.Contains(rule.Categories, "mfa_enrollment") {
		d.Remedies = append(d.Remedies, k.remedies["register-second-factor"])
	}
	for _, id := range rule.remediesFor(facts) {
		if id == "connect-with-person" && enrol && facts.Unattended {
			d.Remedies = append(d.Remedies, k.remedies["register-second-factor"])
		}
		d.Remedies = append(d.Remedies, k.remedies[id])
	}
}

// fill puts what the caller knows into a text: {account|the account} becomes the
// account's name, or what stands behind the bar.
func fill(text string, facts Facts) string {
	if !strings.Contains(text, "{") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		inner, after, found := strings.Cut(rest, "}")
		if !found {
			b.WriteString("{" + rest)
			return b.String()
		}
		name, fallback, _ := strings.Cut(inner, "|")
		if v := facts.value(name); v != "" {
			b.WriteString(v)
		} else {
			b.WriteString(fallback)
		}
		text = after
	}
}

// publicLogin is the sign-in service of the cloud whose pages the texts name.
const publicLogin = "https://login.microsoftonline.com"

// page names a page of the user's own that each cloud has under an address of
// its own; "" for the public cloud, whose address the texts hold.
func (f Facts) page(name string) string {
	if f.Login == "" || f.Login == publicLogin {
		return ""
	}
	if name == "security_info" {
		return "the cloud's own page My Sign-ins > Security info"
	}
	return "the cloud's own page for password reset"
}

func (f Facts) value(name string) string {
	switch name {
	case "account":
		if f.AppOnly && f.ClientName != "" {
			return f.ClientName
		}
		return f.Account
	case "client":
		return f.ClientName
	case "tenant":
		return f.Tenant
	case "tenant_id":
		return f.TenantID
	case "login":
		return f.Login
	case "security_info", "password_reset":
		return f.page(name)
	case "policy":
		if f.Rule == nil || f.Rule.Name == nil {
			return ""
		}
		if f.Rule.ID != nil {
			return `"` + *f.Rule.Name + `" (` + *f.Rule.ID + ")"
		}
		return `"` + *f.Rule.Name + `"`
	}
	return ""
}
