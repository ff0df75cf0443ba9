package operator_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"gatehouse/internal/operator"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/sqldb/dbtest"
)

// authenticator is a passkey in software: it makes one key, and answers as a
// browser passes it on (WebAuthn §6).
type authenticator struct {
	key    *ecdsa.PrivateKey
	id     []byte
	count  uint32
	host   string
	origin string
}

func newAuthenticator(t *testing.T) *authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &authenticator{key: key, id: []byte(rand.Text()), host: "gatehouse.contoso.example", origin: "https://gatehouse.contoso.example"}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *authenticator) clientData(t *testing.T, kind string, options []byte) []byte {
	t.Helper()
	var o struct {
		PublicKey struct{ Challenge string }
	}
	if err := json.Unmarshal(options, &o); err != nil || o.PublicKey.Challenge == "" {
		t.Fatalf("the options %s have no challenge: %v", options, err)
	}
	text, err := json.Marshal(map[string]any{"type": kind, "challenge": o.PublicKey.Challenge, "origin": a.origin, "crossOrigin": false})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (a *authenticator) data(flags byte) []byte {
	a.count++
	host := sha256.Sum256([]byte(a.host))
	return binary.BigEndian.AppendUint32(append(host[:], flags), a.count)
}

// create answers navigator.credentials.create.
func (a *authenticator) create(t *testing.T, options []byte) []byte {
	t.Helper()
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	public, err := webauthncbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	if err != nil {
		t.Fatal(err)
	}
	data := append(a.data(0x45), make([]byte, 16)...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(a.id)))
	data = append(append(data, a.id...), public...)
	object, err := webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	if err != nil {
		t.Fatal(err)
	}
	return a.answer(t, map[string]any{"attestationObject": b64(object), "clientDataJSON": b64(a.clientData(t, "webauthn.create", options))})
}

// get answers navigator.credentials.get.
func (a *authenticator) get(t *testing.T, options []byte) []byte {
	t.Helper()
	data, client := a.data(0x05), a.clientData(t, "webauthn.get", options)
	clientHash := sha256.Sum256(client)
	hash := sha256.Sum256(append(slices.Clone(data), clientHash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	return a.answer(t, map[string]any{"authenticatorData": b64(data), "clientDataJSON": b64(client), "signature": b64(signature)})
}

func (a *authenticator) answer(t *testing.T, response map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "response": response})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPasskey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		ctx := t.Context()
		session := h.setUp("ada@contoso.example").Session
		key := newAuthenticator(t)
		options, err := h.BeginPasskeyEnrolment(ctx, session)
		if err != nil {
			t.Fatal(err)
		}
		stranger := newAuthenticator(t)
		stranger.origin = "https://gatehouse.contoso.example.attacker.example"
		if _, err := h.FinishPasskeyEnrolment(ctx, session, "key", stranger.create(t, options), here); !errors.Is(err, operator.ErrFactor) {
			t.Fatalf("enrolled from another origin: %v", err)
		}
		// The challenge was good for one answer.
		if _, err := h.FinishPasskeyEnrolment(ctx, session, "key", key.create(t, options), here); !errors.Is(err, operator.ErrFactor) {
			t.Fatalf("a challenge was answered twice: %v", err)
		}
		if options, err = h.BeginPasskeyEnrolment(ctx, session); err != nil {
			t.Fatal(err)
		}
		issued, err := h.FinishPasskeyEnrolment(ctx, session, "key", key.create(t, options), here)
		if err != nil || issued.Session.Stage != operator.StageSignedIn {
			t.Fatalf("%+v, %v", issued, err)
		}

		begin := func() (*operator.Session, []byte) {
			t.Helper()
			session := h.password("ada@contoso.example").Session
			options, err := h.BeginPasskey(ctx, session)
			if err != nil {
				t.Fatal(err)
			}
			return session, options
		}
		session, options = begin()
		answer := key.get(t, options)
		if _, err := h.FinishPasskey(ctx, session, answer, here); err != nil {
			t.Fatal(err)
		}
		if _, err := h.FinishPasskey(ctx, session, answer, here); err == nil {
			t.Error("the same answer signed in twice")
		}
		session, options = begin()
		if _, err := h.FinishPasskey(ctx, session, answer, here); !errors.Is(err, operator.ErrFactor) {
			t.Errorf("the answer to another challenge: %v", err)
		}
		if _, err := h.FinishPasskey(ctx, session, key.get(t, options), here); !errors.Is(err, operator.ErrFactor) {
			t.Errorf("a challenge was answered twice: %v", err)
		}
		for name, change := range map[string]func(*authenticator){
			"another origin": func(a *authenticator) { a.origin = "https://attacker.example" },
			"another host":   func(a *authenticator) { a.host = "attacker.example" },
			"another key":    func(a *authenticator) { a.key = newAuthenticator(t).key },
			"unknown id":     func(a *authenticator) { a.id = []byte("unknown") },
			"a copy":         func(a *authenticator) { a.count = 0 },
		} {
			session, options = begin()
			wrong := *key
			change(&wrong)
			if _, err := h.FinishPasskey(ctx, session, wrong.get(t, options), here); !errors.Is(err, operator.ErrFactor) {
				t.Errorf("%s: %v", name, err)
			}
			key.count++
		}
		session, _ = begin()
		for _, bad := range [][]byte{nil, []byte("{}"), make([]byte, 100<<10)} {
			if _, err := h.FinishPasskey(ctx, session, bad, here); !errors.Is(err, operator.ErrFactor) {
				t.Errorf("%.20q: %v", bad, err)
			}
		}
	})
}

// A second factor belongs to its row: copied to another operator's in the
// database, it does not open.
func TestFactorIsBoundToItsRow(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		h.administrator()
		eve := h.member("eve@contoso.example", nil)
		ada := h.find("ada@contoso.example")
		h.execute("UPDATE operator_factors SET credential = (SELECT credential FROM operator_factors WHERE operator_id = ?) WHERE operator_id = ?", eve.Session.OperatorID, ada.ID)
		session := h.password("ada@contoso.example").Session
		if _, err := h.TOTP(t.Context(), session, h.code("eve@contoso.example"), here); err == nil {
			t.Error("another operator's generator signed in")
		}
	})
}
