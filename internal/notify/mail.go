package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"
)

// maxSubject is how many characters a subject has at most (RFC 5322 §2.1.1
// bounds lines to 78).
const maxSubject = 78

// mail sends a notice by mail. Its Message-ID is the delivery's: the same in each
// attempt and replay.
func (s *Service) mail(ctx context.Context, p *parcel) result {
	if !s.HasMail() {
		return result{reason: ErrNoMail.Error()}
	}
	m, err := s.compose(ctx, p)
	if err != nil {
		return result{reason: err.Error(), hopeless: true}
	}
	err = s.Mail.send(ctx, m)
	if err == nil || m.IsDelivered() { // what fails afterwards, such as taking leave, does not matter
		return result{taken: true, status: 250, answer: escape([]byte(m.ServerResponse()))}
	}
	return said(err)
}

// said tells from an error what the mail server said.
func said(err error) result {
	r := result{reason: err.Error()}
	var answer *textproto.Error
	if errors.As(err, &answer) {
		r.status, r.answer = answer.Code, escape([]byte(answer.Msg))
		r.reason = fmt.Sprintf("the mail server answered %d", answer.Code)
	}
	var sending *gomail.SendError
	if errors.As(err, &sending) {
		r.status = sending.ErrorCode()
		// An address or a letter that is refused for good is refused tomorrow,
		// too. A sign-in that is refused may be mended until then.
		r.hopeless = r.status >= 500 && !sending.IsTemp()
		r.reason = fmt.Sprintf("the mail server refused it (%s)", sending.Reason)
		if r.status != 0 {
			r.reason = fmt.Sprintf("the mail server refused it with %d (%s)", r.status, sending.Reason)
		}
		r.answer = escape([]byte(sending.Error()))
	}
	return r
}

// compose writes the letter.
func (s *Service) compose(ctx context.Context, p *parcel) (*gomail.Msg, error) {
	from, err := Address(s.Mail.From)
	if err != nil {
		return nil, fmt.Errorf("reading mail.from: %w", err)
	}
	to, err := Address(p.delivery.Address)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the receiver: %w", err)
	}
	to.Name = line(p.delivery.Name, maxTitle)
	if from.Name == "" {
		from.Name = "Gatehouse"
	}
	l := s.letter(p)
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(from)
	m.ToMailAddress(to)
	m.Subject(subject(l))
	m.SetDateWithValue(s.Now())
	m.SetMessageIDWithValue(p.delivery.ID + "@" + s.host())
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers of absence
	if l.Choose != "" {
		m.SetListUnsubscribe(l.Choose)
	}
	m.SetBodyString(gomail.TypeTextPlain, l.plain())
	var page strings.Builder
	if err := l.page().Render(ctx, &page); err != nil {
		return nil, fmt.Errorf("writing the letter: %w", err)
	}
	m.AddAlternativeString(gomail.TypeTextHTML, page.String())
	return m, nil
}

func (s *Service) letter(p *parcel) letter {
	n := p.notice
	l := letter{
		Title: n.Title, Tenant: line(n.TenantName, maxTitle), Text: strings.Split(n.Text, "\n"), WhoActs: whoActs(n.Data),
		At: n.At.UTC().Format("2 January 2006, 15:04 UTC"), Server: s.PublicURL, Choose: s.PublicURL + ChoosePath,
	}
	if n.Path != "" && n.Kind != Letter {
		l.Link, l.LinkText = s.PublicURL+n.Path, "Open in Gatehouse"
	}
	if n.Kind == Invitation {
		l.Choose, l.Link, l.LinkText = "", p.link.Reveal(), "Open your account"
		l.Until = "The link works once, within " + lifetime(p.until.Sub(s.Now())) + ". Who has it becomes you: pass it on to nobody."
	}
	if n.Kind == Letter {
		l.Choose = ""
		if !p.link.Empty() {
			l.Link, l.LinkText = p.link.Reveal(), "Open the page"
		}
		if !p.until.IsZero() {
			l.Until = "The link works once, within " + lifetime(p.until.Sub(s.Now())) + ". It is for you alone: pass it on to nobody."
		}
	}
	return l
}

// ChoosePath is the page of the console where an operator chooses notices.
const ChoosePath = "/settings/notices/mine"

func lifetime(d time.Duration) string {
	if hours := int(d.Hours()); hours >= 2 {
		return fmt.Sprintf("%d hours", hours)
	}
	return fmt.Sprintf("%d minutes", max(1, int(d.Minutes())))
}

// subject is one line with the tenant's name, bounded.
func subject(l letter) string {
	out := l.Title
	if l.Tenant != "" && !strings.Contains(l.Title, l.Tenant) {
		out = l.Tenant + ": " + l.Title
	}
	runes := []rune(line(out, 4*maxSubject))
	if len(runes) > maxSubject {
		runes = append(runes[:maxSubject-1], '…')
	}
	return string(runes)
}

// host is what ids of messages are made with.
func (s *Service) host() string {
	u, err := url.Parse(s.PublicURL)
	if err != nil || u.Hostname() == "" {
		return "gatehouse.invalid"
	}
	return u.Hostname()
}

// Address reads an e-mail address, with or without a name. Its domain is given
// in the form that every mail server knows (RFC 5890); what stands before may be
// in any script, which the mail server then has to know (RFC 6531).
func Address(text string) (*mail.Address, error) {
	if strings.ContainsFunc(text, hostile) || len(text) > 600 {
		return nil, errors.New("is no e-mail address: write it as name@domain")
	}
	a, err := mail.ParseAddress(text)
	if err != nil {
		return nil, errors.New("is no e-mail address: write it as name@domain")
	}
	at := strings.LastIndexByte(a.Address, '@')
	domain, err := idna.Lookup.ToASCII(a.Address[at+1:])
	if err != nil || domain == "" {
		return nil, errors.New("has a domain that cannot be: write it as name@domain")
	}
	a.Address = a.Address[:at+1] + domain
	return a, nil
}

// whoActs is what an event's data says of that.
func whoActs(data string) string {
	var found struct {
		WhoActs string `json:"who_acts"`
	}
	_ = json.Unmarshal([]byte(data), &found) // of another form: nobody is named
	return line(found.WhoActs, maxTitle)
}
