package sso

import "testing"

// FuzzReadClaims: an id token's payload is an outsider's text until everything
// was checked; what lacks a member that the standard demands is none.
func FuzzReadClaims(f *testing.F) {
	f.Add([]byte(`{"iss":"https://id.example","sub":"1","aud":"app","exp":1790000000,"iat":1790000000,"groups":["a"]}`))
	f.Add([]byte(`{"iss":"https://id.example","sub":"1","aud":["a","b"],"azp":"a","exp":1.79e9,"iat":1,"nbf":2,"_claim_names":{"groups":"src1"},"hasgroups":true}`))
	f.Add([]byte(`{"exp":1e300}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := readClaims(payload)
		if err != nil {
			return
		}
		if c.Issuer == "" || c.Subject == "" || len(c.Audience) == 0 || c.Expires == nil || c.IssuedAt == nil {
			t.Errorf("taken for an id token: %s", payload)
		}
		if y := c.Expires.time().Year(); y < 1970 || y > 40_000 {
			t.Errorf("it ends in the year %d", y)
		}
		c.overage()
	})
}
