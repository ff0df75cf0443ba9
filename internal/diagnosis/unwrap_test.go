package diagnosis

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestScan: every wrapper's escapes come off, and the words are left.
func TestScan(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`Access has been BLOCKED.`, "access has been blocked"},
		{`{"error":"invalid_grant","code":50126}`, "error invalid_grant code 50126"},
		{`one\r\ntwo\\r\\nthree\\\"four\\\"`, "one two three four"},
		{`\u0022quoted\u0022 it\u0027s`, "quoted its"},
		{`error=access_denied&error_description=User%20declined%3a+now%0d%0aTrace`, "error access_denied error_description user declined now trace"},
		{`a%2520b`, "a b"},
		{`&lt;Text&gt;can&#39;t&amp;quot;go&quot;&lt;/Text&gt;`, "text can not go text"},
		{"isn't can’t won't don't O'Neill b'LOGIN'", "is not can not will not do not o neill b login"},
		{"soft=\r\n break", "soft break"},
		{"hy\u00adphen zero\u200bwidth", "hyphen zerowidth"},
		{"\x1b[31;1mred\x1b[0m", "red"},
		{"f\x00u\x00l\x00l\x00", "full"},
		{"ＡＢＣ１２３", "abc123"},
		{"##[error]Failed", "pipeline error failed"},
		{"Größe 認証 エラー", "größe 認証 エラー"},
		{strings.Repeat("x", maxWord+1) + " end", "end"},
		{"", ""},
		{`\`, ""},
		{"%", ""},
		{"&#x41;&#66;", "ab"},
	} {
		var s scanner
		s.scan(tt.text)
		words := []string{}
		for _, w := range s.words {
			words = append(words, string(s.text(w)))
		}
		if got := strings.Join(words, " "); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// TestCodes: the sign-in service's codes are read in all the forms they come in,
// misread and broken ones too, and plain numbers are not taken for codes.
func TestCodes(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []int // known codes
	}{
		{"AADSTS50126: no", []int{50126}},
		{"aadsts50126", []int{50126}},
		{"AADSTS 50126", []int{50126}},
		{"AADSTS: 50126", []int{50126}},
		{"AADST550126", []int{50126}},
		{"AADSTSS0126", []int{50126}},
		{"AADSTS5O126", []int{50126}},
		{"AADST50126", []int{50126}},
		{"ADSTS50126", []int{50126}},
		{"AAD5TS50l26", []int{50126}},
		{"AADSTS50\n126: no", []int{50126}},
		{"AADSTS\n50126", []int{50126}},
		{"AADSTS50012\n1: no", []int{500121}},
		{`\"AADSTS7000215: no\"`, []int{7000215}},
		{"AADSTS70002: no. AADSTS50012: no.", []int{70002, 50012}},
		{`"error_codes":[50076]`, []int{50076}},
		{"https://login.microsoftonline.com/error?code=50076", []int{50076}},
		{"ResultType: 53003", []int{53003}},
		{"53003", []int{53003}},
		{"AADSTS99999", nil},
		{"AADSTS", nil},
		{"parcel number of today: 50126", nil},
		{"the year 2026", nil},
	} {
		var r reading
		kb().read(&r, tt.text)
		var got []int
		for _, c := range r.codes {
			if c.known && !c.bare {
				got = append(got, c.number)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.text, diff)
		}
	}
}

// TestWeigh: specific beats generic, the wrapped beats the wrapper, words count
// once, and evidence that is far apart is not put together.
func TestWeigh(t *testing.T) {
	for _, tt := range []struct {
		text       string
		entry      string
		confidence Confidence
	}{
		{"generalException: AADSTS65001", "consent-missing", High},
		{"AADSTS70002: Error validating credentials. AADSTS50053: too many", "account-locked", High},
		{"DefaultAzureCredential failed to retrieve a token. AADSTS7000222: expired", "secret-expired", High},
		{"UnknownError: the mailbox is either inactive, soft-deleted, or is hosted on-premise", "licence-missing", High},
		{"AADSTS90023: Public clients can't send a client secret", "secret-unwanted", High},
		{"AADSTS90023: bad", "request-malformed", Low},
		{"AADSTS5012699: new", "wrong-password", Low},              // unknown, of the family 50126
		{"AADSTS9912345: new", "unknown-entra-code", Low},          // unknown, and of no family
		{"AADSTS50126 no AADSTS50057 no", "account-disabled", Low}, // two causes; the last a little more likely
		{"permission", "permission-missing", Low},
		{"Contoso.UserHasNoLicenseAssignedException", "licence-missing", High}, // a name is read word by word
		{"code: TokenHasExpired", "access-token-expired", High},
		{"at Contoso.TokenHasExpired()", "not-recognised", Low}, // a method in a trace
		{"failed_to_acquire_token_silently_for_this_user", "session-over", High},
		{"MapiExceptionAccountDisabled", "account-disabled", High},
		{"System.TokenExpiredException: no", "token-ended", High}, // a known name with an ending
		{"an exception", "not-recognised", Low},
		{"The provided credential was incorrect", "wrong-password", High}, // the knowledge base has the plural
		{"Approvals required by admin", "consent-admin", Low},
		{"admin_consent=True&error_description=AADSTS65004", "consent-admin", High},
		{"access " + strings.Repeat("and ", 40) + "denied", "not-recognised", Low},
	} {
		d := Explain(tt.text)
		if d.Entry != tt.entry || d.Confidence != tt.confidence {
			t.Errorf("%q: got %s (%s), want %s (%s)", tt.text, d.Entry, d.Confidence, tt.entry, tt.confidence)
		}
	}
}
