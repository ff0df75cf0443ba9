package conditionalaccess

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSignInErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                           "the sign-in is no JSON object",
		`[]`:                         "the sign-in is no JSON object",
		`{"id":"1"`:                  "not JSON at character 10: the text ends in the middle",
		`{"id":"1"} x`:               "not JSON at character 12: something behind the object",
		`{"id":true}`:                "reading the sign-in: id holds true or false where a string or null belongs",
		`{"groups":"g"}`:             "reading the sign-in: groups holds a string where a list of strings or null belongs",
		`{"groups":[1]}`:             "reading the sign-in: groups holds a number where a string or null belongs",
		`{"device":7}`:               "reading the sign-in: device holds a number where an object or null belongs",
		`{"signInRisk":"extreme"}`:   `reading the sign-in: signInRisk is "extreme"; it can be none, low, medium, high, hidden`,
		`{"userType":"Robot"}`:       `reading the sign-in: userType is "Robot"; it can be Member, Guest`,
		`{"ipAddress":"1.2.3"}`:      `reading the sign-in: ipAddress is "1.2.3", which is no IPv4 or IPv6 address`,
		`{"id":"a` + "\x00" + `b"}`:  "not JSON at character 9: a control character inside a string",
		`{"id":"\ud8"}`:              "not JSON at character 10: an unknown escape inside a string",
		`{"x":` + nested(100) + `}`:  "not JSON at character 69: nested deeper than 64 levels",
		strings.Repeat(" ", 1<<20+1): "the sign-in is larger than 1024 kB",
	} {
		var si SignIn
		if err := si.UnmarshalJSON([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// TestSignInIsUsedAgain: nothing of a sign-in is left in the next.
func TestSignInIsUsedAgain(t *testing.T) {
	si := readSignIn(t, signInJSON(`{"groups":["a","b"],"device":{"isCompliant":true,"physicalIds":["x"]}}`))
	if err := si.UnmarshalJSON([]byte(`{"id":5,"userId":"h\u00e9\ud83d\ude00"}`)); err != nil {
		t.Fatal(err)
	}
	if si.ID != "5" || si.UserID.Value != "hé😀" || si.Groups.State != Absent || len(si.Groups.Value) != 0 || si.Device.State != Absent ||
		si.Device.Value.attributes[IsCompliant].State != Absent {
		t.Errorf("%+v", si)
	}
}

// FuzzSignIn: what is no JSON is refused, and nothing else than JSON passes.
func FuzzSignIn(f *testing.F) {
	f.Add([]byte(signInJSON(`{"device":{"isCompliant":true,"physicalIds":["x"],"extensionAttribute3":null}}`)))
	f.Add([]byte(`{"id":"\ud83d\ude00\n","resourceAttributes":{"A_B":["x",1,true]},"x":[{"y":-1.5e+7}]}`))
	f.Add([]byte("{}\x00"))
	c := Compile(newTenant(20).set, Options{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var si SignIn
		if err := si.UnmarshalJSON(data); err != nil {
			return
		}
		if !json.Valid(data) {
			t.Errorf("%q passed and is no JSON", data)
		}
		var r Result
		c.Evaluate(&si, &r)
		c.Trace(&si, &r)
	})
}
