package connection_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/connection"
	"gatehouse/internal/secrets"
)

// What a password sign-in cannot carry is refused; what tools break is said.
func TestCheckPassword(t *testing.T) {
	for password, want := range map[string][]string{
		"Larch-lane-1976":          nil,
		" Larch-lane-1976":         {"blank-ends"},
		"Larch-lane-1976\u00a0":    {"blank-ends", "beyond-ascii"},
		"Larch\tlane":              {"control"},
		"Larch\r\nlane":            {"control"},
		strings.Repeat("aB1-", 64): nil,
		strings.Repeat("aB1-", 65): {"long"},
		"Ab1-":                     {"short"},
		"abcdefghijklmnop":         {"app-password"},
		"Lärche-1976":              {"beyond-ascii"},
		"Larch+lane&1976":          {"form"},
		"Larch<lane>$1976":         {"markup"},
		"Larch lane 1976":          nil,
	} {
		var got []string
		for _, r := range connection.CheckPassword(password) {
			got = append(got, r.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", password, got, want)
		}
	}
}

// The server refuses what is refused while typing, without repeating it.
func TestPasswordRefused(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		in := account(h.tenant("one"), "a")
		for password, word := range map[string]string{"Planted-4711 ": "begins or ends with a blank", "Planted\x004711": "control characters", strings.Repeat("Planted-4711", 30): "256 characters"} {
			in.Credential.Password = secrets.New(password)
			_, err := h.connections.Create(h.boss(), in)
			var faults connection.Faults
			if !errors.As(err, &faults) || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "Planted") {
				t.Errorf("%v, want %s", err, word)
			}
		}
	})
}

// A conversion to a common profile keeps what was there until the new password
// was accepted, and no longer; nobody without the role converts.
func TestToCommon(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		in := account(h.tenant("one"), "old")
		in.MFA, in.Existing = true, true
		in.Credential = connection.CredentialRequest{Kind: connection.AppPassword, Password: secrets.New("abcdefghijklmnop")}
		c := h.create(in)
		if n := len(c.Limits()); n != 7 || !c.Convertible() {
			t.Fatalf("%d limits", n)
		}
		if _, err := h.connections.ToCommon(h.boss(), c.ID, c.Version+1, secrets.New("Ordinary-1")); !errors.Is(err, connection.ErrConflict) {
			t.Errorf("another version: %v", err)
		}
		common, err := h.connections.ToCommon(h.boss(), c.ID, c.Version, secrets.New("Ordinary-1"))
		if err != nil || common.MFA || common.Credential != connection.Password || common.Previous == nil || len(common.Limits()) != 0 {
			t.Fatalf("%+v %v", common, err)
		}
		if _, err := h.connections.ToCommon(h.boss(), c.ID, common.Version, secrets.New("Ordinary-2")); !errors.Is(err, connection.ErrConverting) {
			t.Errorf("twice: %v", err)
		}
		if opened, err := h.connections.Open(h.boss(), c.ID); err != nil || opened.Secret.Reveal() != "Ordinary-1" {
			t.Errorf("opened %v", err)
		}
		back, err := h.connections.UndoConversion(h.boss(), c.ID)
		if err != nil || !back.MFA || back.Credential != connection.AppPassword || back.Previous != nil {
			t.Fatalf("%+v %v", back, err)
		}
		if opened, err := h.connections.Open(h.boss(), c.ID); err != nil || opened.Secret.Reveal() != "abcdefghijklmnop" {
			t.Errorf("the app password did not come back: %v", err)
		}
		if _, err := h.connections.UndoConversion(h.boss(), c.ID); !errors.Is(err, connection.ErrNoUndo) {
			t.Errorf("undone twice: %v", err)
		}
		eve := as(t.Context(), "Eve", 2, "one") // a technician
		if _, err := h.connections.ToCommon(eve, c.ID, back.Version, secrets.New("Ordinary-1")); err == nil {
			t.Error("a technician converts")
		}
	})
}
