package login

import (
	"bytes"

	"github.com/google/uuid"
)

// mark stands in the last six bytes of the correlation ids of Gatehouse's own
// sign-ins. The sign-in log repeats the id that the client chose (signIn resource
// type, correlationId), so that these can be told from the software's.
var mark = []byte("gateho")

// correlation makes a correlation id that bears the mark.
func correlation() string {
	id := uuid.New()
	copy(id[10:], mark)
	id[6] = id[6]&0x0f | 0x80 // version 8: bits of one's own (RFC 9562, 5.8)
	return id.String()
}

// Ours reports whether a correlation id of the sign-in log is that of a sign-in
// that a Gatehouse made, this or another.
func Ours(correlationID string) bool {
	id, err := uuid.Parse(correlationID)
	return err == nil && id.Version() == 8 && bytes.Equal(id[10:], mark)
}
