package operator_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

func TestPasswordPolicy(t *testing.T) {
	for password, good := range map[string]bool{
		goodPassword:                        true,
		"Gletscher-Tasse-19":                true,
		"пароль для гостей":                 true,
		"x9#kQ2!mZ7@p":                      true,
		strings.Repeat("abcdefgh ijk", 21):  true,  // 252
		strings.Repeat("abcdefgh ijk", 22):  false, // 264
		"":                                  false,
		"x9#kQ2!mZ7@":                       false, // 11
		"aaaaaaaaaaaaaaaa":                  false,
		"abababababab":                      false,
		"123456789012":                      false,
		"abcdefghijkl":                      false,
		"qwertyuiopas":                      false,
		"1q2w3e4r5t6y":                      false,
		"password1234":                      false,
		"P@ssw0rd2024!":                     false,
		"Administrator1":                    false,
		"WelcomeSummer2026":                 false,
		"adminadminadmin":                   false,
		"gatehouse-admin-2026":              false,
		"ada.person@contoso.example":        false,
		"Ada.Person@contoso.example!":       false,
		"ada-person-2026":                   false,
		strings.Repeat("x9#kQ2!mZ7@p", 1e5): false,
	} {
		err := operator.CheckPassword(secrets.New(password), "ada.person@contoso.example")
		var weak *operator.Weak
		if (err == nil) != good || err != nil && !errors.As(err, &weak) {
			t.Errorf("%.40q: %v", password, err)
		}
		if err != nil && len(password) > 3 && strings.Contains(err.Error(), password) {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestCost(t *testing.T) {
	if operator.Cost != "m=19456,t=2,p=1" {
		t.Errorf("a hash costs %s", operator.Cost)
	}
}

// A hash of another cost than today's is replaced when its owner signs in; one
// that does not read lets nobody in.
func TestOldHash(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		h.administrator()
		stored := func() (hash string) {
			t.Helper()
			err := db.Read().NewSelect().TableExpr("operators").Column("password_hash").Scan(context.Background(), &hash)
			return must(h, hash, err)
		}
		before := stored()
		h.password("ada@contoso.example")
		if stored() != before {
			t.Error("a hash of today was replaced")
		}
		for _, other := range []string{operator.HashWith(secrets.New(goodPassword), 32, 1), operator.HashWith(secrets.New(goodPassword), 64, 2)} {
			h.execute("UPDATE operators SET password_hash = ?", other)
			h.password("ada@contoso.example")
			if now := stored(); !strings.HasPrefix(now, "$argon2id$v=19$"+operator.CheapCost+"$") {
				t.Errorf("the hash is still %s", now)
			}
		}
		h.password("ada@contoso.example")
		h.execute("UPDATE operators SET password_hash = ?", "$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA")
		if _, err := h.SignIn(t.Context(), "ada@contoso.example", secrets.New(goodPassword), here); err == nil {
			t.Error("a hash that does not read let somebody in")
		}
	})
}

// A stored hash cannot demand more memory or time than a sign-in may take, and
// cannot be so short that it is guessed.
func TestHashesOutOfBounds(t *testing.T) {
	const salt, hash = "c2FsdHNhbHRzYWx0c2E", "aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
	for text, good := range map[string]bool{
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + hash:      true,
		"$argon2id$v=19$m=262144,t=16,p=16$" + salt + "$" + hash:   true,
		"$argon2id$v=19$m=262145,t=2,p=1$" + salt + "$" + hash:     false,
		"$argon2id$v=19$m=19456,t=17,p=1$" + salt + "$" + hash:     false,
		"$argon2id$v=19$m=19456,t=2,p=17$" + salt + "$" + hash:     false,
		"$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + hash:      false,
		"$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + hash:      false,
		"$argon2id$v=19$m=7,t=2,p=1$" + salt + "$" + hash:          false,
		"$argon2id$v=18$m=19456,t=2,p=1$" + salt + "$" + hash:      false,
		"$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + hash:       false,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$":             false,
		"$argon2id$v=19$m=19456,t=2,p=1$$" + hash:                  false,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + hash[:10]: false,
		"$argon2id$v=19$m=019456,t=2,p=1$" + salt + "$" + hash:     false,
		"$argon2id$v=19$m=19456,t=2,p=1 $" + salt + "$" + hash:     false,
	} {
		if _, err := operator.ParsePHC(text); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2E$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g")
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA")
	f.Fuzz(func(t *testing.T, text string) {
		again, err := operator.ParsePHC(text)
		if err == nil && again != text {
			t.Errorf("read %q as %q", text, again)
		}
	})
}
