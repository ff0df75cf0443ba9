package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
)

// Each kind of digest begins with its own name, so that none can pass for
// another. The numbers are versions of the encoding.
const (
	chainName      = "gatehouse audit entry 1"
	actorName      = "gatehouse audit actor 1"
	objectName     = "gatehouse audit object 1"
	checkpointName = "gatehouse audit checkpoint 1"
)

// encode is the canonical encoding: each field is preceded by its length in
// bytes, as an unsigned 64-bit number in big-endian order.
func encode(fields ...string) []byte {
	var b []byte
	for _, f := range fields {
		b = binary.BigEndian.AppendUint64(b, uint64(len(f)))
		b = append(b, f...)
	}
	return b
}

func digest(fields ...string) string {
	sum := sha256.Sum256(encode(fields...))
	return hex.EncodeToString(sum[:])
}

// chain is the hash of the entry that follows one with the hash before.
func (r *Record) chain(before string) string {
	return digest(chainName, before, strconv.FormatInt(r.Seq, 10), stamp(r.At),
		string(r.ActorKind), r.ActorID, r.ActorDigest, r.Action,
		r.ObjectKind, r.ObjectID, r.ObjectDigest, r.TenantID, string(r.Outcome))
}

func (r *Record) actorDigest() string {
	return digest(actorName, r.ActorSalt, r.ActorName, r.Address)
}

func (r *Record) objectDigest() string {
	return digest(objectName, r.ObjectSalt, r.ObjectName, r.Details)
}

// stamp is a time to the microsecond, which is what both databases keep.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
