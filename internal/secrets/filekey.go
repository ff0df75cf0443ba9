package secrets

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// KeyWrapper holds the master key, which wraps the keyset: a file ([FileKey]),
// or a key management service.
type KeyWrapper interface {
	tink.AEADWithContext
	// Prepare makes the key ready for use. Fresh says that the database has no
	// keyset yet, so that a master key may be made; the notice, if any, is for
	// the operator to read.
	Prepare(ctx context.Context, fresh bool) (notice string, err error)
	// Name tells this master key from others, and gives nothing away.
	Name() string
	// Place says where the key is kept, for errors.
	Place() string
}

// FileKey is a master key in a file that only its owner may read.
type FileKey struct {
	path string
	aead tink.AEAD
	name string
}

// NewFileKey names the file; it is read or made when the keyring is opened.
func NewFileKey(path string) *FileKey { return &FileKey{path: path} }

const (
	keySize   = 32
	keyPrefix = "gatehouse-master-key-1:"
	keyHeader = `# Master key of Gatehouse. Whoever holds this file and the database can read
# every secret in it; without this file nobody can. Keep a copy in a safe place
# that is not where the backups of the database are.
`
)

// Prepare reads the key file. If it is missing it is made, provided that the
// database holds nothing sealed yet: another key would not open it.
func (k *FileKey) Prepare(_ context.Context, fresh bool) (string, error) {
	key, err := k.read()
	switch {
	case err == nil:
		return "", k.use(key)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	case !fresh:
		return "", fmt.Errorf("reading the master key: the file %s is missing, and the database holds secrets that only that key opens: put the file back from its copy", k.path)
	}
	if err := k.make(); err != nil {
		return "", fmt.Errorf("making the master key: %w", err)
	}
	if key, err = k.read(); err != nil { // as the next start will
		return "", err
	}
	notice := fmt.Sprintf("A NEW MASTER KEY was made: %s\n"+
		"BACK IT UP NOW, apart from the database: if it is lost, every secret that Gatehouse keeps is lost for good.", k.path)
	return notice, k.use(key)
}

func (k *FileKey) use(key []byte) error {
	gcm, err := subtle.NewAESGCM(key)
	if err != nil {
		return fmt.Errorf("reading the master key: the file %s: %w", k.path, err)
	}
	sum := sha256.Sum256(append([]byte("gatehouse master key name"), key...))
	k.aead, k.name = gcm, "file-"+hex.EncodeToString(sum[:6])
	return nil
}

func (k *FileKey) read() ([]byte, error) {
	file, err := os.Open(k.path)
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading the master key: %s is not a file", k.path)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return nil, fmt.Errorf("reading the master key: others may use the file %s (its mode is %#o): run chmod 600 on it, and rotate the keys if somebody may have read it", k.path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, 4<<10))
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("reading the master key: the file %s %w: put back its copy", k.path, err)
	}
	return key, nil
}

func parseKey(text []byte) ([]byte, error) {
	var found []byte
	for line := range bytes.Lines(text) {
		s := strings.TrimSpace(string(line))
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		encoded, ok := strings.CutPrefix(s, keyPrefix)
		if !ok || found != nil {
			return nil, errors.New("is not a master key file")
		}
		key, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || len(key) != keySize {
			return nil, errors.New("holds a damaged key")
		}
		found = key
	}
	if found == nil {
		return nil, errors.New("holds no key")
	}
	return found, nil
}

// make writes a new key to a file beside the path and links it there, which
// fails if the path exists: an unfinished file never gets the name, and no key is
// ever overwritten.
func (k *FileKey) make() error {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	dir := filepath.Dir(k.path)
	file, err := os.CreateTemp(dir, ".master-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(keyHeader + keyPrefix + base64.StdEncoding.EncodeToString(key) + "\n")
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	// Another process may have been quicker: then its key counts.
	if err := os.Link(file.Name(), k.path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Name is made of the key's hash.
func (k *FileKey) Name() string { return k.name }

// Place is the file's path.
func (k *FileKey) Place() string { return "the file " + k.path }

// EncryptWithContext wraps a keyset.
func (k *FileKey) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return k.aead.Encrypt(plaintext, associatedData)
}

// DecryptWithContext unwraps a keyset.
func (k *FileKey) DecryptWithContext(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return k.aead.Decrypt(ciphertext, associatedData)
}
