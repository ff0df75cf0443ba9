package expiry_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/expiry"
)

// component is a part of a calendar as a strict reader finds it.
type component struct {
	name       string
	properties map[string][]string
	parts      []*component
}

var (
	propertyName = regexp.MustCompile(`^[A-Z][A-Z0-9-]*(;[A-Z-]+=[A-Z-]+)*$`)
	instant      = regexp.MustCompile(`^\d{8}T\d{6}Z$`)
	duration     = regexp.MustCompile(`^-?P(\d+D|T\d+[HM])$`)
)

// readCalendar reads a calendar as RFC 5545 has it, and nothing else: lines of 75
// bytes at most that end with CR and LF, unfolded, no control characters, matched
// components, escapes that are known.
func readCalendar(text string) (*component, error) {
	if !strings.HasSuffix(text, "\r\n") || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") {
		return nil, errors.New("a line does not end with CR LF")
	}
	var lines []string
	for i, line := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		switch {
		case len(line) > 75 || !utf8.ValidString(line):
			return nil, fmt.Errorf("line %d has %d bytes, or half a character: %q", i+1, len(line), line)
		case strings.HasPrefix(line, " ") && len(lines) > 0:
			lines[len(lines)-1] += line[1:]
		case line == "":
			return nil, fmt.Errorf("line %d is empty", i+1)
		default:
			lines = append(lines, line)
		}
	}
	root := &component{properties: map[string][]string{}}
	open := []*component{root}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		at := open[len(open)-1]
		switch {
		case !ok || !propertyName.MatchString(name):
			return nil, fmt.Errorf("%q is no property", line)
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return nil, fmt.Errorf("%q holds a control character", line)
		case name == "BEGIN":
			part := &component{name: value, properties: map[string][]string{}}
			at.parts = append(at.parts, part)
			open = append(open, part)
		case name == "END":
			if at.name != value || len(open) == 1 {
				return nil, fmt.Errorf("%s ends %s", value, at.name)
			}
			open = open[:len(open)-1]
		default:
			at.properties[name] = append(at.properties[name], value)
		}
	}
	if len(open) != 1 || len(root.parts) != 1 || root.parts[0].name != "VCALENDAR" || len(root.properties) != 0 {
		return nil, errors.New("there is not one calendar")
	}
	return root.parts[0], root.parts[0].check()
}

// check demands what each component has to have, once.
func (c *component) check() error {
	once := map[string]map[string]*regexp.Regexp{
		"VCALENDAR": {"VERSION": regexp.MustCompile(`^2\.0$`), "PRODID": nil},
		"VEVENT":    {"UID": nil, "DTSTAMP": instant, "DTSTART": instant, "DURATION": duration, "SUMMARY": nil, "DESCRIPTION": nil},
		"VALARM":    {"ACTION": regexp.MustCompile(`^DISPLAY$`), "DESCRIPTION": nil, "TRIGGER": duration},
	}[c.name]
	if once == nil {
		return fmt.Errorf("there is a %s", c.name)
	}
	for name, form := range once {
		if len(c.properties[name]) != 1 || form != nil && !form.MatchString(c.properties[name][0]) {
			return fmt.Errorf("%s of %s is %q", name, c.name, c.properties[name])
		}
	}
	for _, name := range []string{"SUMMARY", "DESCRIPTION"} {
		for _, v := range c.properties[name] {
			if _, err := unescape(v); err != nil {
				return err
			}
		}
	}
	for _, p := range c.parts {
		if err := p.check(); err != nil {
			return err
		}
	}
	return nil
}

// unescape reads a TEXT value.
func unescape(v string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == ';' || v[i] == ',':
			return "", fmt.Errorf("%q holds a bare %c", v, v[i])
		case v[i] != '\\':
			b.WriteByte(v[i])
			continue
		}
		i++
		if i == len(v) {
			return "", fmt.Errorf("%q ends with a backslash", v)
		}
		switch v[i] {
		case 'n':
			b.WriteByte('\n')
		case '\\', ';', ',':
			b.WriteByte(v[i])
		default:
			return "", fmt.Errorf("%q escapes %c", v, v[i])
		}
	}
	return b.String(), nil
}

// FuzzCalendar: whatever a tenant calls its apps, the calendar stays one, and the
// name is read back as it was, but for characters that no text may hold.
func FuzzCalendar(f *testing.F) {
	for _, name := range []string{"Portal", "a;b,c\\d", "END:VCALENDAR\r\nBEGIN:VEVENT\nX:1\r", strings.Repeat("ü😀", 90), "\x00\x1b[2J\x7f", "\xff\xfe", "=2+2", "\u2028"} {
		f.Add(name, int64(1_790_000_000))
	}
	f.Fuzz(func(t *testing.T, name string, at int64) {
		end := time.Unix(at%250_000_000_000, 0) // years that have four digits
		if end.UTC().Year() < 0 || end.UTC().Year() > 9999 {
			return
		}
		text := expiry.Calendar([]expiry.Item{{ID: "1", Kind: expiry.Secret, Name: name, TenantName: "Contoso", NotAfter: &end}, {ID: "2", Name: "without an end"}}, time.Unix(0, 0), "https://gatehouse.example")
		c, err := readCalendar(text)
		if err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		if len(c.parts) != 1 || len(c.parts[0].parts) != 2 {
			t.Fatalf("there are %d events in %q", len(c.parts), text)
		}
		summary, err := unescape(c.parts[0].properties["SUMMARY"][0])
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(name, "\uFFFD"))
		plain = strings.Map(func(r rune) rune {
			if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0) {
				return ' '
			}
			return r
		}, plain)
		if want := "Client secret of " + plain + " ends (Contoso)"; summary != want {
			t.Errorf("%q is read back as %q", want, summary)
		}
		if got := c.parts[0].properties["DTSTART"][0]; got != end.UTC().Format("20060102T150405Z") {
			t.Errorf("it ends %s", got)
		}
	})
}

// A feed shows what its operator may see at that moment, and stops with the
// operator, or when it is revoked. Its address is not in the database.
func TestFeeds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		at, other := h.onboard(), h.add("ledgerlane")
		must(t, h.ReadNow(h.boss(), at.ID))
		eve, _, err := h.operators.Invite(h.boss(), "eve@gatehouse.example", "Eve", map[string]audit.Role{at.ID: audit.Viewer})
		must(t, err)
		ctx := audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: eve.ID, Name: "Eve", Roles: eve.Roles})
		feed, token, err := h.NewFeed(ctx, " Outlook ")
		must(t, err)
		if feed.Name != "Outlook" || strings.Contains(feed.TokenHash, token.Reveal()) || len(token.Reveal()) < 43 {
			t.Errorf("%+v", feed)
		}
		events := func() int {
			text, err := h.ReadFeed(t.Context(), token.Reveal(), "198.51.100.7", "https://gatehouse.example")
			must(t, err)
			c, err := readCalendar(text)
			must(t, err)
			return len(c.parts)
		}
		if n := events(); n == 0 {
			t.Error("the calendar is empty")
		}
		if feeds, err := h.Feeds(ctx); err != nil || len(feeds) != 1 || feeds[0].UsedAt == nil {
			t.Errorf("feeds: %+v %v", feeds, err)
		}
		must(t, h.operators.SetRole(h.boss(), eve.ID, other.ID, audit.Viewer))
		must(t, h.operators.SetRole(h.boss(), eve.ID, at.ID, 0))
		if n := events(); n != 0 {
			t.Errorf("who lost the role still sees %d ends", n)
		}
		must(t, h.operators.SetRole(h.boss(), eve.ID, at.ID, audit.Viewer))
		gone := func(why, token string) {
			t.Helper()
			if text, err := h.ReadFeed(t.Context(), token, "", ""); !errors.Is(err, expiry.ErrMissing) || text != "" {
				t.Errorf("%s: %q %v", why, text, err)
			}
		}
		gone("another token", strings.Repeat("A", 43))
		gone("no token", "")
		gone("the hash", feed.TokenHash)
		if err := h.RevokeFeed(audit.With(t.Context(), audit.Actor{Kind: audit.Operator, ID: "somebody"}), feed.ID); !errors.Is(err, expiry.ErrMissing) {
			t.Errorf("somebody else revokes it: %v", err)
		}
		must(t, h.operators.Disable(h.boss(), eve.ID))
		gone("a disabled operator", token.Reveal())
		must(t, h.operators.Enable(h.boss(), eve.ID))
		must(t, h.RevokeFeed(ctx, feed.ID))
		gone("revoked", token.Reveal())
		for range 10 {
			_, _, err := h.NewFeed(ctx, "More")
			must(t, err)
		}
		if _, _, err := h.NewFeed(ctx, "One too many"); !errors.Is(err, expiry.ErrMany) {
			t.Errorf("an eleventh: %v", err)
		}
		if _, _, err := h.NewFeed(ctx, ""); err == nil {
			t.Error("a calendar without a name is made")
		}
	})
}
