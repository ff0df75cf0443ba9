package notify_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/notify"
	"gatehouse/internal/notify/notifytest"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb/dbtest"
)

// mailTo sends an opened incident of a tenant to an operator and gives the
// letter.
func (h *house) mailTo(email, name, tenantName string, change func(*notify.Event)) notifytest.Letter {
	h.t.Helper()
	place := h.tenant(tenantName+email, tenantName)
	o := h.operator(email, map[string]audit.Role{place: audit.Administrator})
	h.exec("UPDATE operators SET name = ? WHERE id = ?", name, o)
	e := opened(place)
	e.Key = ""
	change(&e)
	before := len(h.mail.Letters())
	h.publish(e)
	h.work()
	letters := h.mail.Letters()
	if len(letters) != before+1 {
		all, _, err := h.List(h.boss(), notify.Filter{TenantID: place}, notify.Page{})
		h.t.Fatalf("%d letters: %+v %v", len(letters)-before, all, err)
	}
	return letters[before]
}

// Names and titles from outside end no header, run no script and turn no text
// round.
func TestHostileMail(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const injected = "x\r\nBcc: all@evil.example\r\n\r\n<script>alert(1)</script>"
		l := h.mailTo("eve@contoso.example", "Eve\r\nX-Evil: 1\r\n\r\nbody", `<img src=x onerror=alert(1)>"'`+"\u202e", func(e *notify.Event) {
			e.Title, e.Text, e.Path = injected, "{{.Link}} <a href=https://evil.example>here</a>\x00\x1b[31m\u2028", "/incidents/1\"><script>"
			e.Data = map[string]any{"who_acts": "<b>you</b>\r\nX-Evil: 1"}
		})
		for _, name := range []string{"Bcc", "X-Evil"} {
			if l.Header.Get(name) != "" {
				t.Errorf("a header %s came through:\n%s", name, l.Raw)
			}
		}
		if strings.Contains(l.HTML, "<script") || strings.Contains(l.HTML, "<img") || strings.Contains(l.HTML, "<b>") || strings.Contains(l.HTML, `href="https://evil`) || strings.Contains(l.HTML, "\u202e") {
			t.Errorf("%s", l.HTML)
		}
		for _, remote := range []string{"<img", "src=", "url(", "<link", "@import", "<style"} {
			if strings.Contains(strings.ReplaceAll(l.HTML, "&lt;img src=x", ""), remote) {
				t.Errorf("there is %q in it: %s", remote, l.HTML)
			}
		}
		if strings.ContainsAny(l.Text, "\x00\x1b\u2028\u202e") {
			t.Errorf("%q", l.Text)
		}
		// Long and in other scripts.
		l = h.mailTo("ida@contoso.example", "Ída Ðottir", strings.Repeat("Ünïcødé ", 30), func(e *notify.Event) { e.Title = strings.Repeat("日本語", 60) })
		if n := utf8.RuneCountInString(l.Subject); n != 78 || !strings.HasSuffix(l.Subject, "…") {
			t.Errorf("%d characters: %s", n, l.Subject)
		}
		if to, err := l.Header.AddressList("To"); err != nil || to[0].Name != "Ída Ðottir" {
			t.Errorf("%v %v", to, err)
		}
		for line := range strings.Lines(l.Raw) {
			if len(line) > 998 || !ascii(line) {
				t.Errorf("a line of %d bytes: %.100q", len(line), line)
			}
		}
	})
}

func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 })
}

// Domains of other scripts are written as every server knows them; names of other
// scripts need a server that knows these.
func TestScripts(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		nothing := func(*notify.Event) {}
		if l := h.mailTo("eve@bücher.example", "Eve", "Contoso", nothing); l.To != "TO:<eve@xn--bcher-kva.example>" || strings.Contains(l.From, "SMTPUTF8") {
			t.Errorf("%+v", l)
		}
		h.mail.Set(notifytest.Behaviour{Wide: true})
		if l := h.mailTo("plain@contoso.example", "Eve", "Contoso", nothing); strings.Contains(l.From, "SMTPUTF8") {
			t.Errorf("%+v", l)
		}
		if l := h.mailTo("ève@contoso.example", "Eve", "Fabrikam", nothing); l.To != "TO:<ève@contoso.example>" || !strings.Contains(l.From, "SMTPUTF8") {
			t.Errorf("%+v", l)
		}
		h.mail.Set(notifytest.Behaviour{})
		place := h.tenant("t9", "Adatum")
		h.operator("zoë@contoso.example", map[string]audit.Role{place: audit.Administrator})
		h.publish(opened(place))
		h.work()
		if all, _, err := h.List(h.boss(), notify.Filter{TenantID: place}, notify.Page{}); err != nil || !strings.Contains(all[0].Deliveries[0].Reason, "SMTPUTF8") {
			t.Errorf("%+v %v", all, err)
		}
	})
}

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"a@contoso.example": "a@contoso.example", "A <a@contoso.example>": "a@contoso.example", "a@Bücher.example": "a@xn--bcher-kva.example",
		"a": "", "a@": "", "a@b\r\nc": "", "a@contoso.example, b@contoso.example": "", "a@xn--\u202e": "", "a@-.example": "",
	} {
		got, err := notify.Address(text)
		if (err == nil) != (want != "") || err == nil && got.Address != want {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
}

// What the mail server says decides: for good, for now, or nothing at all.
func TestMailAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		behave notifytest.Behaviour
		mail   func(*notify.Mail)
		state  string
		want   string
		status int
	}{
		"no such person":  {notifytest.Behaviour{Recipient: "550 5.1.1 no such person"}, nil, notify.Failed, "refused it with 550", 550},
		"busy":            {notifytest.Behaviour{Recipient: "451 4.3.0 later"}, nil, notify.Waiting, "refused it with 451", 451},
		"no TLS":          {notifytest.Behaviour{NoStartTLS: true}, nil, notify.Waiting, "STARTTLS", 0},
		"a stranger":      {notifytest.Behaviour{}, func(m *notify.Mail) { m.Roots = nil }, notify.Waiting, "certificate", 0},
		"wrong password":  {notifytest.Behaviour{Password: "right"}, func(m *notify.Mail) { m.Username, m.Password = "gate", secrets.New("planted-wrong") }, notify.Waiting, "answered 535", 535},
		"sign-in missing": {notifytest.Behaviour{Password: "right"}, nil, notify.Failed, "refused it with 530", 530},
		"right password":  {notifytest.Behaviour{Password: "planted-right"}, func(m *notify.Mail) { m.Username, m.Password = "gate", secrets.New("planted-right") }, notify.Delivered, "", 250},
		"TLS at once":     {notifytest.Behaviour{Whole: true}, func(m *notify.Mail) { m.TLS = notify.WholeTLS }, notify.Delivered, "", 250},
		"TLS and a password": {notifytest.Behaviour{Whole: true, Password: "planted-right"}, func(m *notify.Mail) {
			m.TLS, m.Username, m.Password = notify.WholeTLS, "gate", secrets.New("planted-right")
		}, notify.Delivered, "", 250},
		"plain, here": {notifytest.Behaviour{NoStartTLS: true, Password: "planted-right"}, func(m *notify.Mail) {
			m.TLS, m.Username, m.Password = notify.NoTLS, "gate", secrets.New("planted-right")
		}, notify.Delivered, "", 250},
		"nobody there": {notifytest.Behaviour{}, func(m *notify.Mail) { m.Server = "127.0.0.1:1" }, notify.Waiting, "refused", 0},
		"no answer":    {notifytest.Behaviour{Drop: true}, nil, notify.Waiting, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			db := dbtest.Open(t, dbtest.SQLite(t))
			h := open(t, db, func(m *notify.Config) {
				if c.mail != nil {
					c.mail(&m.Mail)
				}
			})
			h.mail.Set(c.behave)
			h.operator("ada@contoso.example", map[string]audit.Role{audit.AllTenants: audit.Administrator})
			h.publish(opened(""))
			h.work()
			d := h.only().Deliveries[0]
			a := d.Attempts[0]
			if d.State != c.state || a.Status != c.status || !strings.Contains(a.Reason, c.want) {
				t.Errorf("%+v", d)
			}
			if text := fmt.Sprintf("%+v", d); strings.Contains(text, "planted") {
				t.Errorf("the password is shown: %s", text)
			}
			if err := h.Mail.Check(t.Context()); (err == nil) != (a.Status != 0 && a.Status != 535 || name == "no answer") {
				t.Errorf("the doctor says %v", err)
			}
			if l := h.mail.Letters(); c.behave.Password != "" && c.state == notify.Delivered && (len(l) != 1 || l[0].User != "gate" || l[0].Secure == (h.Mail.TLS == notify.NoTLS)) {
				t.Errorf("%v", l)
			}
		})
	}
}

// Without TLS only a mail server on this machine is spoken to, whatever the
// configuration says.
func TestPlainElsewhere(t *testing.T) {
	here := notifytest.Mail(t, notifytest.Behaviour{NoStartTLS: true})
	if err := (notify.Mail{Server: here.Address, TLS: notify.NoTLS}).Check(t.Context()); err != nil {
		t.Error(err)
	}
	if notify.Loopback("192.0.2.7:25") || notify.Loopback("[2001:db8::1]:25") || !notify.Loopback("127.0.0.1:25") || !notify.Loopback("[::1]:25") {
		t.Error("another machine is taken for this one")
	}
}

// A mail server that says nothing holds nobody up for ever.
func TestSilentMail(t *testing.T) {
	silent := notifytest.Mail(t, notifytest.Behaviour{Silent: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := (notify.Mail{Server: silent.Address}).Check(ctx); err == nil {
		t.Error("nothing was taken for an answer")
	}
}

// A letter is sent again under the same Message-ID.
func TestMessageID(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.mail.Set(notifytest.Behaviour{Drop: true})
		h.operator("ada@contoso.example", map[string]audit.Role{audit.AllTenants: audit.Administrator})
		h.publish(opened(""))
		h.work()
		h.skip()
		h.mail.Set(notifytest.Behaviour{})
		h.work()
		l := h.mail.Letters()
		if len(l) != 2 || l[0].Header.Get("Message-Id") != l[1].Header.Get("Message-Id") || l[0].Header.Get("Message-Id") == "" {
			t.Errorf("%v", l)
		}
	})
}

// The test button sends to the actor's own address, at once.
func TestTestMail(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		roles := map[string]audit.Role{}
		eve := h.operator("eve@contoso.example", roles)
		d, err := h.TestMail(h.me(eve, roles))
		if err != nil || d.State != notify.Delivered || d.Address != "eve@contoso.example" || len(d.Attempts) != 1 || len(h.waiting()) != 0 {
			t.Errorf("%+v %v", d, err)
		}
		h.mail.Set(notifytest.Behaviour{Recipient: "451 later"})
		if d, err := h.TestMail(h.me(eve, roles)); err != nil || d.State != notify.Failed || len(h.waiting()) != 0 {
			t.Errorf("it is tried again: %+v %v", d, err)
		}
		if _, err := h.TestMail(audit.With(t.Context(), audit.Actor{Kind: audit.Visitor})); err == nil {
			t.Error("a visitor has an address")
		}
		limited := false
		for range 30 {
			_, err := h.TestMail(h.me(eve, roles))
			limited = limited || err != nil
		}
		if !limited {
			t.Error("tests are not limited")
		}
	})
}
