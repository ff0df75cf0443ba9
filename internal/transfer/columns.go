// Package transfer writes connections into files and makes them from files, CSV or
// JSON, for spreadsheets and scripts. No secret is ever written; a connection that
// a file makes has its credential still to be entered, and its consumer holds it
// until then.
package transfer

import (
	"strings"
	"time"

	"gatehouse/internal/connection"
)

// Format is a kind of file.
type Format string

// The formats.
const (
	CSV  Format = "csv"
	JSON Format = "json"
)

// record is a connection as text, by column.
type record map[string]string

// column is a column of a file, with what it means on both ways.
type column struct {
	name string
	get  func(connection.Connection) string
	// set takes in what a file says; nil for what is only told and ignored on the
	// way in. The problem is "" if there is none.
	set func(*row, string) (problem, way string)
	// list: in JSON an array.
	list bool
}

// row is a connection that a file describes.
type row struct {
	ID         string
	Tenant     string // name, domain or id
	Kind       connection.Kind
	Credential connection.CredentialKind
	Profile    connection.Profile
	Tags       []string
	Schedule   string
}

const inList = " "

func text(at func(*row) *string) func(*row, string) (string, string) {
	return func(r *row, v string) (string, string) {
		*at(r) = v
		return "", ""
	}
}

func words(at func(*row) *[]string) func(*row, string) (string, string) {
	return func(r *row, v string) (string, string) {
		*at(r) = strings.FieldsFunc(v, func(c rune) bool { return c == ' ' || c == ',' || c == ';' || c == '\n' || c == '\r' || c == '\t' })
		return "", ""
	}
}

// columns are all columns, in their order.
var columns = []column{
	{name: "id", get: func(c connection.Connection) string { return c.ID }, set: text(func(r *row) *string { return &r.ID })},
	{name: "tenant", get: func(c connection.Connection) string { return c.TenantName }, set: text(func(r *row) *string { return &r.Tenant })},
	{name: "name", get: func(c connection.Connection) string { return c.Name }, set: text(func(r *row) *string { return &r.Profile.Name })},
	{name: "kind", get: func(c connection.Connection) string { return string(c.Kind) }, set: text(func(r *row) *string { return (*string)(&r.Kind) })},
	{name: "description", get: func(c connection.Connection) string { return c.Description }, set: text(func(r *row) *string { return &r.Profile.Description })},
	{name: "username", get: func(c connection.Connection) string { return c.Username }, set: text(func(r *row) *string { return &r.Profile.Username })},
	{name: "client_id", get: func(c connection.Connection) string { return c.ClientID }, set: text(func(r *row) *string { return &r.Profile.ClientID })},
	{name: "credential", get: func(c connection.Connection) string { return string(c.Credential) }, set: text(func(r *row) *string { return (*string)(&r.Credential) })},
	{name: "mfa", get: func(c connection.Connection) string { return yesNo(c.MFA) }, set: func(r *row, v string) (string, string) {
		switch strings.ToLower(v) {
		case "yes", "true", "1":
			r.Profile.MFA = true
		case "no", "false", "0", "":
			r.Profile.MFA = false
		default:
			return "is neither yes nor no", "write yes or no"
		}
		return "", ""
	}},
	{name: "services", list: true, get: func(c connection.Connection) string { return strings.Join(c.Services, inList) }, set: words(func(r *row) *[]string { return &r.Profile.Services })},
	{name: "site", get: func(c connection.Connection) string { return c.Site }, set: text(func(r *row) *string { return &r.Profile.Site })},
	{name: "admin_url", get: func(c connection.Connection) string { return c.AdminURL }, set: text(func(r *row) *string { return &r.Profile.AdminURL })},
	{name: "environment", get: func(c connection.Connection) string { return c.Environment }, set: text(func(r *row) *string { return &r.Profile.Environment })},
	{name: "company", get: func(c connection.Connection) string { return c.Company }, set: text(func(r *row) *string { return &r.Profile.Company })},
	{name: "consumer", get: func(c connection.Connection) string { return c.Consumer.Name }, set: text(func(r *row) *string { return &r.Profile.Consumer.Name })},
	{name: "accepts", list: true, get: func(c connection.Connection) string { return strings.Join(c.Consumer.Accepts, inList) }, set: words(func(r *row) *[]string { return &r.Profile.Consumer.Accepts })},
	{name: "addresses", list: true, get: func(c connection.Connection) string { return strings.Join(c.Consumer.Addresses, inList) }, set: words(func(r *row) *[]string { return &r.Profile.Consumer.Addresses })},
	{name: "tags", list: true, get: func(c connection.Connection) string { return strings.Join(c.Tags, inList) }, set: words(func(r *row) *[]string { return &r.Tags })},
	{name: "schedule", get: func(c connection.Connection) string { return c.Schedule }, set: text(func(r *row) *string { return &r.Schedule })},
	// What follows is told and not taken in again.
	{name: "held_by", get: func(c connection.Connection) string { return c.Consumer.HoldsCredential }},
	{name: "verdict", get: func(c connection.Connection) string { return c.Verdict }},
	{name: "sentence", get: func(c connection.Connection) string { return c.Sentence }},
	{name: "parked", get: func(c connection.Connection) string { return yesNo(c.Parked) }},
	{name: "validated_at", get: func(c connection.Connection) string { return moment(c.ValidatedAt) }},
	{name: "credential_not_after", get: func(c connection.Connection) string { return moment(c.CredentialNotAfter) }},
}

func yesNo(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func find(name string) (column, bool) {
	for _, c := range columns {
		if c.name == name {
			return c, true
		}
	}
	return column{}, false
}
