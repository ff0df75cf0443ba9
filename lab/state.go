package lab

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gatehouse/lab/internal/pki"
	"gatehouse/lab/internal/token"
)

// state is what --state keeps: seed, authority, signing key and client
// certificates. Everything else follows from the seed and the tenants file.
type state struct {
	folder    string
	seed      uint64
	authority *pki.Authority
	kept      bool // the folder outlives the process
	now       time.Time
}

const (
	seedFile      = "seed.json"
	authorityFile = "authority.pem" // certificate and key
	signingFile   = "signing.key"
	caFile        = "ca.pem" // certificate alone, for clients
)

// loadState reads the folder or fills it. A seed of 0 leaves the choice to the
// folder; another seed than the folder's is refused, as its ids would differ.
func loadState(folder string, kept bool, seed uint64, now time.Time) (*state, error) {
	st := &state{folder: folder, kept: kept, seed: seed, now: now}
	var held struct {
		Seed uint64 `json:"seed"`
	}
	switch data, err := os.ReadFile(filepath.Join(folder, seedFile)); {
	case err == nil:
		if err := json.Unmarshal(data, &held); err != nil {
			return nil, fmt.Errorf("reading %s: %w", filepath.Join(folder, seedFile), err)
		}
		if seed != 0 && seed != held.Seed {
			return nil, fmt.Errorf("the state folder %s was made with seed %d, not %d: leave the seed out or use another folder", folder, held.Seed, seed)
		}
		st.seed = held.Seed
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading the state folder: %w", err)
	}
	for st.seed == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:])
		st.seed = binary.LittleEndian.Uint64(b[:]) >> 11 // exact in JavaScript's numbers too
	}
	if err := st.write(seedFile, fmt.Appendf(nil, "{\"seed\": %d}\n", st.seed)); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(folder, authorityFile))
	if err == nil {
		st.authority, err = pki.DecodeAuthority(data)
	} else if errors.Is(err, fs.ErrNotExist) {
		if st.authority, err = pki.NewAuthority(now); err == nil {
			if data, err = st.authority.Encode(); err == nil {
				err = st.write(authorityFile, data)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("preparing the authority: %w", err)
	}
	return st, st.write(caFile, pki.EncodeCertificate(st.authority.Certificate))
}

// write replaces a file of the folder.
func (st *state) write(name string, data []byte) error {
	path := filepath.Join(st.folder, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil { //nolint:gosec // the folder is the operator's choice
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// signingKey gives the key of the folder, made at the first start.
func (st *state) signingKey() (*rsa.PrivateKey, error) {
	if !st.kept {
		return sharedKey()
	}
	data, err := os.ReadFile(filepath.Join(st.folder, signingFile))
	if err == nil {
		return pki.DecodeRSA(data)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the signing key: %w", err)
	}
	key, err := token.NewKey()
	if err != nil {
		return nil, err
	}
	if data, err = pki.EncodeRSA(key); err != nil {
		return nil, err
	}
	return key, st.write(signingFile, data)
}

// clientCertificate gives the certificate of an app: the folder's if it has
// one for this name already that is expired exactly if the new one would be.
func (st *state) clientCertificate(name string, start, end time.Time) (*x509.Certificate, error) {
	if data, err := os.ReadFile(filepath.Join(st.folder, certificateFile(name))); err == nil {
		if c, err := pki.DecodeCertificate(data); err == nil && c.NotAfter.After(st.now) == end.After(st.now) {
			return c, nil
		}
	}
	c, err := pki.Client(name, start, end)
	if err != nil {
		return nil, err
	}
	return c, st.write(certificateFile(name), pki.EncodeClient(c))
}

func certificateFile(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "client-" + hex.EncodeToString(sum[:6]) + ".pem"
}
