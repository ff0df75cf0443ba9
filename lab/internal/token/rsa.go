package token

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

// The lab signs with a key of four primes (RFC 8017 §3.2): the same 2048-bit
// modulus and exponent as any RS256 key, so that whoever verifies sees no
// difference, but a third of the work, which is nearly all that a token costs,
// and a key that is made in milliseconds. The standard library makes such keys
// and signs with them by the slow way, so the signature is computed here. It is
// not computed in constant time; the lab's key guards nothing.

const (
	keyBits   = 2048
	keyPrimes = 4
)

// NewKey makes a signing key.
func NewKey() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateMultiPrimeKey(rand.Reader, keyPrimes, keyBits) //nolint:staticcheck // deprecated for production keys; see above
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

// crtKey is a private key prepared for the Chinese remainder theorem
// (RFC 8017 §5.1.2, RSASP1).
type crtKey struct {
	public *rsa.PublicKey
	primes []*big.Int
	exps   []*big.Int // d mod (prime-1)
	before []*big.Int // product of the primes before
	coeffs []*big.Int // inverse of that product mod prime
}

func newCRT(key *rsa.PrivateKey) (*crtKey, error) {
	if key.N.BitLen() != keyBits || len(key.Primes) < 2 {
		return nil, fmt.Errorf("the signing key must have %d bits and its primes", keyBits)
	}
	c := &crtKey{public: &key.PublicKey, primes: key.Primes}
	product := big.NewInt(1)
	for _, prime := range key.Primes {
		inverse := new(big.Int).ModInverse(product, prime)
		if inverse == nil {
			return nil, errors.New("the signing key's primes are not different")
		}
		c.exps = append(c.exps, new(big.Int).Mod(key.D, new(big.Int).Sub(prime, big.NewInt(1))))
		c.before = append(c.before, product)
		c.coeffs = append(c.coeffs, inverse)
		product = new(big.Int).Mul(product, prime)
	}
	if product.Cmp(key.N) != 0 {
		return nil, errors.New("the signing key's primes do not make up its modulus")
	}
	return c, nil
}

// digestInfo stands before a SHA-256 digest (RFC 8017 §9.2, note 1).
var digestInfo = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// sign gives the RSASSA-PKCS1-v1_5 signature of a SHA-256 digest.
func (c *crtKey) sign(digest []byte) []byte {
	size := c.public.Size()
	padded := make([]byte, size)
	padded[1] = 1
	start := size - len(digestInfo) - len(digest)
	for i := 2; i < start-1; i++ {
		padded[i] = 0xff
	}
	copy(padded[start:], digestInfo)
	copy(padded[start+len(digestInfo):], digest)
	m := new(big.Int).SetBytes(padded)
	s := new(big.Int)
	h, t := new(big.Int), new(big.Int)
	for i, prime := range c.primes {
		h.Exp(t.Mod(m, prime), c.exps[i], prime)
		h.Sub(h, s).Mul(h, c.coeffs[i]).Mod(h, prime)
		s.Add(s, t.Mul(h, c.before[i]))
	}
	return s.FillBytes(make([]byte, size))
}
