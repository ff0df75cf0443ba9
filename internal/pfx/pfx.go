// Package pfx writes PKCS #12 files (RFC 7292): a certificate with its private
// key behind a password, as consumers import them. It writes one form alone, that
// of present tools: both parts under PBES2 with AES-256 and PBKDF2, the whole
// under an HMAC with SHA-256. Windows reads it since Server 2019.
package pfx

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // localKeyId is an id, by which nothing is proved
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	"unicode/utf16"

	"gatehouse/internal/secrets"
)

// Object identifiers of RFC 7292, RFC 8018 and NIST.
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidShroudedKey   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidLocalKeyID    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21}
	oidPBES2         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

// rounds are the iterations of both derivations. The password is random, so that
// they need not make up for a weak one.
const rounds = 10_000

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
}

type encryptedContent struct {
	Type      asn1.ObjectIdentifier
	Algorithm pkix.AlgorithmIdentifier
	Content   []byte `asn1:"tag:0"`
}

type encryptedData struct {
	Version int
	Content encryptedContent
}

type safeBag struct {
	ID         asn1.ObjectIdentifier
	Value      asn1.RawValue `asn1:"tag:0,explicit"`
	Attributes []attribute   `asn1:"set"`
}

type attribute struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue `asn1:"set"`
}

type certBag struct {
	ID   asn1.ObjectIdentifier
	Data []byte `asn1:"tag:0,explicit"`
}

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2 struct{ KDF, Scheme pkix.AlgorithmIdentifier }

type pbkdf2Parameters struct {
	Salt   []byte
	Rounds int
	Length int
	PRF    pkix.AlgorithmIdentifier
}

type digestInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Digest    []byte
}

type macData struct {
	Mac    digestInfo
	Salt   []byte
	Rounds int
}

type pfx struct {
	Version int
	Safe    contentInfo
	Mac     macData
}

// Encode writes a certificate (PEM) and its key (PEM, PKCS #8) as a PKCS #12
// file. The password is of ASCII. random gives salts and vectors.
func Encode(random io.Reader, certificate string, key, password secrets.Value) ([]byte, error) {
	leaf, _ := pem.Decode([]byte(certificate))
	private, _ := pem.Decode([]byte(key.Reveal()))
	if leaf == nil || leaf.Type != "CERTIFICATE" || private == nil || private.Type != "PRIVATE KEY" {
		return nil, errors.New("writing a PFX: it needs a certificate, and a private key in PKCS #8")
	}
	e := &encoder{random: random, password: password.Reveal()}
	id := sha1.Sum(leaf.Bytes) //nolint:gosec // as above
	local := []attribute{{oidLocalKeyID, e.set(e.der(id[:]))}}
	algorithm, sealed := e.seal(private.Bytes)
	keys := e.der([]safeBag{{oidShroudedKey, explicit(e.der(encryptedKey{algorithm, sealed})), local}})
	certificates := e.der([]safeBag{{oidCertBag, explicit(e.der(certBag{oidX509, leaf.Bytes})), local}})
	algorithm, sealed = e.seal(certificates)
	safe := e.der([]contentInfo{
		{oidEncryptedData, explicit(e.der(encryptedData{0, encryptedContent{oidData, algorithm, sealed}}))},
		{oidData, explicit(e.der(keys))},
	})
	salt := e.bytes(16)
	mac := hmac.New(sha256.New, derive(sha256.New, bmp(e.password), salt, 3, rounds, sha256.Size))
	mac.Write(safe)
	out := e.der(pfx{3, contentInfo{oidData, explicit(e.der(safe))}, macData{digestInfo{pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}, mac.Sum(nil)}, salt, rounds}})
	if e.err != nil {
		return nil, fmt.Errorf("writing a PFX: %w", e.err)
	}
	return out, nil
}

// encoder keeps the first error.
type encoder struct {
	random   io.Reader
	password string
	err      error
}

func (e *encoder) der(v any) []byte {
	out, err := asn1.Marshal(v)
	e.err = errors.Join(e.err, err)
	return out
}

func (e *encoder) bytes(n int) []byte {
	out := make([]byte, n)
	_, err := io.ReadFull(e.random, out)
	e.err = errors.Join(e.err, err)
	return out
}

// set is a set of one value.
func (e *encoder) set(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSet, IsCompound: true, Bytes: der}
}

func explicit(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}
}

// seal encrypts with a key from the password (RFC 8018 §6.2).
func (e *encoder) seal(plain []byte) (pkix.AlgorithmIdentifier, []byte) {
	salt, vector := e.bytes(16), e.bytes(aes.BlockSize)
	key, err := pbkdf2.Key(sha256.New, e.password, salt, rounds, 32)
	e.err = errors.Join(e.err, err)
	kdf := e.der(pbkdf2Parameters{salt, rounds, 32, pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1.NullRawValue}})
	parameters := e.der(pbes2{
		pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: kdf}},
		pkix.AlgorithmIdentifier{Algorithm: oidAES256CBC, Parameters: asn1.RawValue{FullBytes: e.der(vector)}},
	})
	algorithm := pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: asn1.RawValue{FullBytes: parameters}}
	block, err := aes.NewCipher(key)
	if err != nil {
		e.err = errors.Join(e.err, err)
		return algorithm, nil
	}
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	sealed := append([]byte{}, plain...)
	for range padding {
		sealed = append(sealed, byte(padding))
	}
	cipher.NewCBCEncrypter(block, vector).CryptBlocks(sealed, sealed)
	return algorithm, sealed
}

// bmp is a password as RFC 7292 §B.1 has it: UTF-16, ended by two zeros.
func bmp(s string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		out = append(out, byte(unit>>8), byte(unit))
	}
	return append(out, 0, 0)
}

// derive is the derivation of RFC 7292 §B.2; id 3 is for a MAC's key.
func derive(newHash func() hash.Hash, password, salt []byte, id byte, rounds, size int) []byte {
	h := newHash()
	v := h.BlockSize()
	diversifier := make([]byte, v)
	for i := range diversifier {
		diversifier[i] = id
	}
	block := append(fill(salt, v), fill(password, v)...)
	var out []byte
	for len(out) < size {
		h.Reset()
		h.Write(diversifier)
		h.Write(block)
		a := h.Sum(nil)
		for range rounds - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		out = append(out, a...)
		b := new(big.Int).SetBytes(fill(a, v)[:v])
		b.Add(b, big.NewInt(1))
		for j := 0; j < len(block); j += v {
			sum := new(big.Int).Add(new(big.Int).SetBytes(block[j:j+v]), b)
			text := sum.Bytes()
			if len(text) > v {
				text = text[len(text)-v:]
			}
			clear(block[j : j+v])
			copy(block[j+v-len(text):j+v], text)
		}
	}
	return out[:size]
}

// fill repeats bytes up to a multiple of a length; nothing stays nothing.
func fill(b []byte, v int) []byte {
	if len(b) == 0 {
		return nil
	}
	n := (len(b) + v - 1) / v * v
	out := make([]byte, 0, n+len(b))
	for len(out) < n {
		out = append(out, b...)
	}
	return out[:n]
}
