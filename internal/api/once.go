package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/client"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Answers of requests with an idempotency key are kept for a day, sealed, as
// some hold a link or a token.
const (
	idempotencyHeader = "Idempotency-Key"
	maxKey            = 200
	maxOnceBody       = 256 << 10 // of a request with a key, in bytes, unless its route takes more
	keepAnswers       = 24 * time.Hour
)

// Columns are the columns of this package that hold sealed secrets.
var Columns = []secrets.Column{{Table: "idempotency", Key: "id", Name: "answer"}}

// kept is a request with a key, with its answer once there is one.
type kept struct {
	bun.BaseModel `bun:"table:idempotency"`
	ID            string `bun:"id,pk"` // of operator and key
	RequestHash   string
	Status        int // 0 while the request is running, or if the server was cut off
	Answer        []byte
	CreatedAt     time.Time
}

// once answers a repeated POST with the first answer. A request that was cut
// off is not made again: nobody knows how far it came.
func (f *face) once(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get(idempotencyHeader)
		c := callerOf(r.Context())
		if r.Method != http.MethodPost || key == "" || c.whose() == "" || f.fresh(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		if len(key) > maxKey {
			writeProblem(w, problem(http.StatusBadRequest, client.ProblemBadRequest, "the "+idempotencyHeader+" is longer than 200 characters"))
			return
		}
		most := f.most(r.URL.Path)
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
		if err != nil {
			writeProblem(w, problem(http.StatusRequestEntityTooLarge, client.ProblemBadRequest, fmt.Sprintf("the request is larger than %d kB, or broke off", most>>10)))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(data))
		row := &kept{
			ID: digest(c.whose(), key), RequestHash: digest(r.URL.RequestURI(), r.Header.Get("Content-Type"), string(data)), Answer: []byte{}, CreatedAt: f.Now().UTC(),
		}
		first, err := f.claim(r.Context(), row)
		if err != nil {
			f.refuse(w, r.Context(), err)
			return
		}
		if first != nil {
			f.repeat(w, r, row, first)
			return
		}
		recorder := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		// Also for a caller who has gone: it will ask again.
		if err := f.keepAnswer(context.WithoutCancel(r.Context()), row.ID, recorder); err != nil {
			f.Log.ErrorContext(r.Context(), "keeping an answer for its repetition", "error", err, "request", requestID(r.Context()))
		}
	})
}

// most bounds the body of a request with a key, in bytes: it is read whole, and may be
// as large as its route takes it.
func (f *face) most(address string) int64 {
	for _, r := range f.routes {
		if r.method != http.MethodPost || r.maxBody <= maxOnceBody {
			continue
		}
		if fits, err := path.Match(placeholders.ReplaceAllString(prefix+r.path, "*"), address); err == nil && fits {
			return r.maxBody
		}
	}
	return maxOnceBody
}

var placeholders = regexp.MustCompile(`{[^}]+}`)

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		part := sha256.Sum256([]byte(p))
		h.Write(part[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// claim notes a request as running, or gives the one that had its key before.
func (f *face) claim(ctx context.Context, row *kept) (first *kept, err error) {
	err = f.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		first = nil
		result, err := tx.NewInsert().Model(row).On("CONFLICT (id) DO NOTHING").Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			return err
		}
		first = &kept{}
		return tx.NewSelect().Model(first).Where("id = ?", row.ID).Scan(ctx)
	})
	return first, err
}

// saved is an answer as it is sealed.
type saved struct {
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

func (f *face) repeat(w http.ResponseWriter, r *http.Request, row, first *kept) {
	switch {
	case first.RequestHash != row.RequestHash:
		writeProblem(w, problem(http.StatusUnprocessableEntity, client.ProblemRepeated, "this "+idempotencyHeader+" came with another request before: use a new one for each"))
		return
	case first.Status == 0:
		writeProblem(w, problem(http.StatusConflict, client.ProblemRepeated, "the first request with this "+idempotencyHeader+" is still running, or was cut off: look whether it took effect before trying with a new key"))
		return
	}
	value, err := f.Keys.Open(r.Context(), "idempotency", first.ID, "answer", first.Answer)
	var s saved
	if err == nil {
		err = json.Unmarshal([]byte(value.Reveal()), &s)
	}
	if err != nil {
		f.refuse(w, r.Context(), err)
		return
	}
	for name, values := range s.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(first.Status)
	_, _ = w.Write(s.Body) // a lost connection: nobody is left to tell
}

func (f *face) keepAnswer(ctx context.Context, id string, r *recorder) error {
	if r.status >= http.StatusInternalServerError || r.status == http.StatusTooManyRequests {
		// Nothing was done, or not for good: it may be tried again.
		return f.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.NewDelete().Model((*kept)(nil)).Where("id = ?", id).Exec(ctx)
			return err
		})
	}
	header := http.Header{}
	for _, name := range []string{"Content-Type", "Retry-After", "Location"} {
		if v := r.Header().Values(name); len(v) > 0 {
			header[name] = v
		}
	}
	encoded, err := json.Marshal(saved{header, r.body.Bytes()})
	if err != nil {
		return err
	}
	store := func() error {
		return f.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			sealed, err := f.Keys.Seal(ctx, tx, "idempotency", id, "answer", secrets.New(string(encoded)))
			if err != nil {
				return err
			}
			_, err = tx.NewUpdate().Model((*kept)(nil)).Set("status = ?", r.status).Set("answer = ?", sealed).Where("id = ?", id).Exec(ctx)
			return err
		})
	}
	err = store()
	if errors.Is(err, secrets.ErrRotated) {
		err = store()
	}
	return err
}

// Sweep forgets answers that nobody asks for any more. It is due every hour.
func Sweep(ctx context.Context, db *sqldb.DB, now time.Time) error {
	return db.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.NewDelete().Model((*kept)(nil)).Where("created_at < ?", now.UTC().Add(-keepAnswers)).Exec(ctx)
		return err
	})
}

// recorder keeps what it passes on.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(data []byte) (int, error) {
	r.body.Write(data)
	return r.ResponseWriter.Write(data)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
