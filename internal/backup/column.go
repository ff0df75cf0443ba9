package backup

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// columnKind is how values of a column are written, the same for both
// databases.
type columnKind string

const (
	kindText  columnKind = "text"
	kindInt   columnKind = "int"
	kindReal  columnKind = "real"
	kindBool  columnKind = "bool"
	kindTime  columnKind = "time"  // RFC 3339 in UTC
	kindBytes columnKind = "bytes" // base64
)

// kindOf maps the type of a column, as either database names it.
func kindOf(declared string) (columnKind, error) {
	switch t := strings.ToLower(declared); t {
	case "text":
		return kindText, nil
	case "bigint", "integer", "smallint":
		return kindInt, nil
	case "double precision", "real":
		return kindReal, nil
	case "boolean":
		return kindBool, nil
	case "timestamptz", "timestamp with time zone":
		return kindTime, nil
	case "bytea", "blob":
		return kindBytes, nil
	}
	return "", fmt.Errorf("a column has the type %q, which backups do not know", declared)
}

// times are the forms in which SQLite holds a time.
var times = []string{"2006-01-02 15:04:05.999999999-07:00", time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00"}

// portable turns what a driver read into what is written.
func (k columnKind) portable(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch v := v.(type) {
	case []byte:
		if k == kindBytes {
			return append([]byte{}, v...), nil // empty is not null; JSON makes it base64
		}
		return k.portable(string(v))
	case time.Time:
		if k == kindTime {
			return v.UTC().Format(time.RFC3339Nano), nil
		}
	case string:
		switch k {
		case kindText:
			return v, nil
		case kindTime:
			for _, form := range times {
				if t, err := time.Parse(form, v); err == nil {
					return t.UTC().Format(time.RFC3339Nano), nil
				}
			}
			return nil, fmt.Errorf("%q is not a time", v)
		case kindBytes:
			return append([]byte{}, v...), nil
		}
	case bool:
		if k == kindBool {
			return v, nil
		}
	case int64:
		switch k {
		case kindInt:
			return v, nil
		case kindReal:
			return float64(v), nil
		case kindBool:
			return v != 0, nil
		}
	case float64:
		if k == kindReal {
			return v, nil
		}
	}
	return nil, fmt.Errorf("a value of type %T does not fit a column of kind %s", v, k)
}

// stored turns what was written into what the database layer stores.
func (k columnKind) stored(text json.RawMessage) (any, error) {
	if string(text) == "null" {
		return nil, nil
	}
	var err error
	switch k {
	case kindText:
		var s string
		err = json.Unmarshal(text, &s)
		return s, err
	case kindInt:
		var n int64
		err = json.Unmarshal(text, &n)
		return n, err
	case kindReal:
		var n float64
		err = json.Unmarshal(text, &n)
		return n, err
	case kindBool:
		var b bool
		err = json.Unmarshal(text, &b)
		return b, err
	case kindTime:
		var t time.Time
		err = json.Unmarshal(text, &t)
		return t.UTC(), err
	case kindBytes:
		var s string
		if err = json.Unmarshal(text, &s); err != nil {
			return nil, err
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if b == nil {
			b = []byte{} // empty is not null
		}
		return b, err
	}
	return nil, fmt.Errorf("the kind %q is not known", k)
}
