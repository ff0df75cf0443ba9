package connection

import (
	"regexp"
	"strings"
	"sync"
)

// PasswordRule is something to know of a password before it is sent by
// software. The same patterns are tried in the browser while somebody types and
// here once more, so they keep to what both read alike.
type PasswordRule struct {
	Name    string
	Pattern string // of passwords that it concerns; a dot stands for any sign
	Refused bool   // such a password is not taken; otherwise it is only said
	Problem string // what is wrong with it, after "password"
	Way     string
}

// blanks are the signs that look like one: typed, and pasted from a page.
const blanks = " \u00a0\u2007\u202f\u3000"

// passwordRules stand in the order in which they are told. Lengths and signs:
// learn.microsoft.com/entra/identity/authentication/concept-password-ban-bad-combined-policy;
// blanks at the ends: learn.microsoft.com/entra/identity-platform/v2-oauth-ropc.
var passwordRules = []PasswordRule{
	{"control", `[\x00-\x1f\x7f]`, true, "holds line ends, tabs or other control characters", "copy it in one line, without what stands around it"},
	{"blank-ends", "^[" + blanks + "]|[" + blanks + "]$", true, "begins or ends with a blank", "take the blank away if it came with copying; if it is part of the password, Microsoft's password sign-in for software does not carry it although the browser does: set a password without it"},
	{"long", `^.{257,}$`, true, "has more than 256 characters, the most that Microsoft takes", "check what was copied, or set a shorter one"},
	{"short", `^.{1,7}$`, false, "has fewer than 8 characters, the least that Microsoft lets anybody set in the cloud", "check that it was copied whole"},
	{"app-password", `^[a-z]{16}$`, false, "has the form of an app password: sixteen lower-case letters", "app passwords open no modern sign-in: enter the account's own password"},
	{"beyond-ascii", `[^\x00-\x7f]`, false, "holds letters or signs beyond ASCII, which Microsoft lets nobody set in the cloud; a domain that is federated or synchronised may have them", "programs send them in different encodings, so prefer a password of plain letters, digits and signs"},
	{"form", `[+&%=#;]`, false, "holds one of + & % = # ; which Gatehouse sends rightly, and tools that build the request by hand do not", "if it works here and not in the tool, set a password without them"},
	{"markup", `[<>"'\\$` + "`" + `!]`, false, "holds one of < > \" ' \\ $ ` ! which tools break that put it into XML, a script or a command line", "if it works here and not in the tool, set a password without them"},
}

// PasswordRules are the rules, the most important first.
func PasswordRules() []PasswordRule { return passwordRules }

var passwordPatterns = sync.OnceValue(func() []*regexp.Regexp {
	out := make([]*regexp.Regexp, len(passwordRules))
	for i, r := range passwordRules {
		out[i] = regexp.MustCompile("(?s)" + r.Pattern)
	}
	return out
})

// CheckPassword gives the rules that concern a password.
func CheckPassword(password string) []PasswordRule {
	var out []PasswordRule
	for i, pattern := range passwordPatterns() {
		if pattern.MatchString(password) {
			out = append(out, passwordRules[i])
		}
	}
	return out
}

// password refuses what Microsoft's password sign-in cannot carry.
func (f *faults) password(text string, as CredentialKind) {
	switch {
	case text == "":
	case as == AppPassword && !appPasswordShape.MatchString(text):
		f.Add("password", "does not have the form of an app password", "enter its sixteen lower-case letters without blanks")
	case len(text) > maxSecret:
		f.Add("password", "is too long", "enter it as Microsoft shows it")
	default:
		for _, r := range CheckPassword(text) {
			if r.Refused {
				f.Add("password", r.Problem, r.Way)
			}
		}
	}
}

// secret refuses what no client secret holds.
func (f *faults) secret(text string) {
	if len(text) > maxSecret || strings.ContainsAny(text, "\x00\r\n") {
		f.Add("secret", "is too long or holds line ends", "enter it as Microsoft shows it, in one line")
	}
}
