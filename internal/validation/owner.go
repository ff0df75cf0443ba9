package validation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"gatehouse/internal/audit"
	"gatehouse/internal/connection"
	"gatehouse/internal/microsoft"
	"gatehouse/internal/microsoft/graph"
	"gatehouse/internal/pace"
	"gatehouse/internal/posture"
	"gatehouse/internal/sqldb"
	"gatehouse/internal/tenant"
)

// Sign is something from which it can be told whether an account is a person's.
type Sign struct {
	Name  string `json:"name"`
	Says  string `json:"says"` // person, software, nothing or unknown
	Words string `json:"words"`
	// weight is how much the sign counts for a person; 0 unless it says so.
	weight int
}

// What a sign says.
const (
	saysPerson  = "person"
	saysNothing = "nothing"
	saysUnknown = "unknown"
)

// How surely an account is a person's own. None is certain: a directory does not
// say it.
const (
	OwnerLikely  = "likely"
	OwnerPerhaps = "perhaps"
	OwnerNoSign  = "no_sign"
	OwnerUnknown = "unknown" // too little could be read
)

// conclude weighs signs against each other.
func conclude(signs []Sign) string {
	weight, unread := 0, 0
	for _, s := range signs {
		weight += s.weight
		if s.Says == saysUnknown {
			unread++
		}
	}
	switch {
	case weight >= 6:
		return OwnerLikely
	case weight >= 3:
		return OwnerPerhaps
	case unread > len(signs)/2:
		return OwnerUnknown
	}
	return OwnerNoSign
}

// accountSigns are the signs on the directory object and its methods.
func accountSigns(a posture.Account, unreadMethods string) []Sign {
	out := []Sign{sign("job title", a.JobTitle != "", 3, fmt.Sprintf("it has the job title %q", a.JobTitle), "it has no job title")}
	out = append(out, sign("name", personName(a.Name, a.UPN), 1, fmt.Sprintf("name and user name look like a person's (%s)", a.Name), "name and user name do not look like a person's"))
	switch {
	case a.Methods == nil:
		out = append(out, Sign{Name: "methods", Says: saysUnknown, Words: "its MFA methods were not read: " + unreadMethods})
	case slices.ContainsFunc(a.Methods, func(m string) bool { return m == "windowsHelloForBusiness" || m == "fido2" }):
		out = append(out, Sign{"methods", saysPerson, "somebody signs in to a device with it (" + strings.Join(a.Methods, ", ") + ")", 2})
	default:
		phones := slices.ContainsFunc(a.Methods, func(m string) bool { return m == "phone" || m == "microsoftAuthenticator" })
		out = append(out, sign("methods", phones, 1, "somebody's phone is registered as its second factor ("+strings.Join(a.Methods, ", ")+")", "no phone, key or device is registered for it"))
	}
	if a.Plans == nil {
		return append(out, Sign{Name: "mailbox", Says: saysUnknown, Words: "its licences were not read"})
	}
	return append(out, sign("mailbox", slices.Contains(a.Plans, "exchange"), 1, "it is licensed for a mailbox", "it has no licence for a mailbox"))
}

func sign(name string, person bool, weight int, yes, no string) Sign {
	if person {
		return Sign{name, saysPerson, yes, weight}
	}
	return Sign{Name: name, Says: saysNothing, Words: no}
}

// words that names of accounts for software have.
var softwareWords = []string{"svc", "service", "backup", "sync", "app", "bot", "api", "admin", "connection", "connector", "scan", "report", "test", "account", "profile", "migration", "deploy", "monitor", "system", "user", "tool"}

// personName reports a display name of two or three words of letters of which
// the user name is made up: "Anna Bauer", anna.bauer@ or abauer@.
func personName(name, upn string) bool {
	words := strings.Fields(strings.ToLower(name))
	local, _, _ := strings.Cut(strings.ToLower(upn), "@")
	if len(words) < 2 || len(words) > 3 || slices.ContainsFunc(words, func(w string) bool { return slices.Contains(softwareWords, w) }) {
		return false
	}
	first, last := words[0], words[len(words)-1]
	plain := strings.NewReplacer(".", "", "_", "", "-", "").Replace(local)
	return plain == first+last || plain == last+first || plain == first[:1]+last
}

// Look is what was found of who uses an account.
type Look struct {
	At         time.Time `json:"at"`
	Conclusion string    `json:"conclusion"` // one of the Owner constants
	Signs      []Sign    `json:"signs"`
	// SignIns are the latest that the tenant's log has; nil where it was not read.
	SignIns []SeenSignIn `json:"sign_ins"`
}

// SeenSignIn is an entry of the tenant's sign-in log.
type SeenSignIn struct {
	At          time.Time `json:"at"`
	App         string    `json:"app"`
	Address     string    `json:"address"`
	Interactive bool      `json:"interactive"`
	Code        int       `json:"code"` // 0: it got in
}

type lookRow struct {
	bun.BaseModel `bun:"table:account_looks"`

	ConnectionID string `bun:"connection_id,pk"`
	At           time.Time
	Data         string
}

// ErrNoAccount says that only a service account can be somebody's own.
var ErrNoAccount = errors.New("the connection is an app: it is nobody's account")

// LastLook gives what was found when somebody looked last; nil if nobody did.
func (r *Runs) LastLook(ctx context.Context, connectionID string) (*Look, error) {
	c, err := r.Connections.Get(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	var row lookRow
	err = r.DB.Read().NewSelect().Model(&row).Where("connection_id = ?", c.ID).Scan(ctx)
	if sqldb.Missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading whose an account is: %w", err)
	}
	var look Look
	if err := json.Unmarshal([]byte(row.Data), &look); err != nil {
		return nil, fmt.Errorf("reading whose an account is: %w", err)
	}
	return &look, nil
}

// LookAtOwner reads, with the tenant's reader, what tells whether an account is a
// person's own: its object, licences and methods, manager, devices, and its
// sign-ins of the last days. What cannot be read is unknown.
func (r *Runs) LookAtOwner(ctx context.Context, connectionID string) (Look, error) {
	c, err := r.Connections.Get(ctx, connectionID)
	if err != nil {
		return Look{}, err
	}
	if err := r.Audit.Allow(ctx, c.TenantID, audit.ConnectionValidate); err != nil {
		return Look{}, err
	}
	if c.Kind != connection.ServiceAccount {
		return Look{}, ErrNoAccount
	}
	at, err := r.Tenants.Directory(ctx, c.TenantID)
	if err != nil {
		return Look{}, err
	}
	client, err := r.readerOf(ctx, c.TenantID, at.DirectoryID)
	if err != nil {
		return Look{}, err
	}
	look, err := r.look(pace.Interactive(ctx), client, c)
	if err != nil {
		return Look{}, err
	}
	data, err := json.Marshal(look)
	if err != nil {
		return Look{}, fmt.Errorf("encoding whose an account is: %w", err)
	}
	return look, r.DB.Change(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := r.Audit.Act(ctx, tx, audit.Entry{Permission: audit.ConnectionValidate, TenantID: c.TenantID, Action: "connection.owner_looked_at", ObjectKind: "connection", ObjectID: c.ID, ObjectName: c.Name, Details: map[string]any{"conclusion": look.Conclusion}}); err != nil {
			return err
		}
		row := &lookRow{ConnectionID: c.ID, At: look.At, Data: string(data)}
		if _, err := tx.NewInsert().Model(row).On("CONFLICT (connection_id) DO UPDATE").Set("at = EXCLUDED.at, data = EXCLUDED.data").Exec(ctx); err != nil {
			return fmt.Errorf("keeping whose an account is: %w", err)
		}
		return nil
	})
}

// readerOf is Graph as the tenant's reader; [tenant.ErrNoReader] if it has none
// that works.
func (r *Runs) readerOf(ctx context.Context, tenantID, directory string) (*graph.Client, error) {
	reading, err := r.Tenants.Reading(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	if reading == nil {
		return nil, tenant.ErrNoReader
	}
	return r.Tenants.Graph(ctx, directory, reading)
}

// look reads the signs.
func (r *Runs) look(ctx context.Context, client *graph.Client, c connection.Connection) (Look, error) {
	snapshot, err := posture.Load(ctx, client, r.Now(), posture.Want{Accounts: []string{c.Username}})
	if err != nil {
		return Look{}, err
	}
	look := Look{At: r.time(), Signs: []Sign{}}
	a, ok := snapshot.Account(c.Username)
	if !ok {
		look.Signs = append(look.Signs, Sign{Name: "account", Says: saysUnknown, Words: "the account was not read: " + snapshot.Reason(posture.PartAccount, c.Username)})
		look.Conclusion = OwnerUnknown
		return look, nil
	}
	look.Signs = append(accountSigns(a, snapshot.Reason(posture.PartMethods, c.Username)), managerSign(ctx, client, a.ID), deviceSign(ctx, client, a.ID))
	s, entries := signInSign(ctx, client, a.ID, r.Now())
	look.Signs, look.SignIns = append(look.Signs, s), entries
	look.Conclusion = conclude(look.Signs)
	return look, nil
}

func managerSign(ctx context.Context, client *graph.Client, id string) Sign {
	var manager graph.DirectoryObject
	err := client.Get(ctx, "/v1.0/users/"+graph.PathKey(id)+"/manager?$select=id,displayName", &manager)
	var e *microsoft.Error
	switch {
	case errors.As(err, &e) && e.Status == http.StatusNotFound:
		return Sign{Name: "manager", Says: saysNothing, Words: "it has no manager"}
	case err != nil:
		return Sign{Name: "manager", Says: saysUnknown, Words: "whether it has a manager was not read: " + err.Error()}
	}
	return Sign{"manager", saysPerson, "it has a manager, as people do", 2}
}

func deviceSign(ctx context.Context, client *graph.Client, id string) Sign {
	devices, err := graph.List[graph.DirectoryObject](ctx, client, "/v1.0/users/"+graph.PathKey(id)+"/registeredDevices?$select=id")
	if err != nil {
		return Sign{Name: "devices", Says: saysUnknown, Words: "whether it has devices was not read: " + err.Error()}
	}
	return sign("devices", len(devices) > 0, 2, fmt.Sprintf("%d of somebody's devices are registered to it", len(devices)), "no device is registered to it")
}

// logWindow is how far back the sign-in log is read.
const logWindow = 7 * 24 * time.Hour

// logLine is what is read of a sign-in.
type logLine struct {
	graph.SignIn
	Interactive bool   `json:"isInteractive"`
	Protocol    string `json:"authenticationProtocol"`
}

// person reports a sign-in in which somebody sat there: one that is interactive,
// and not a password that software sent.
func (l logLine) person() bool { return l.Interactive && !strings.EqualFold(l.Protocol, "ropc") }

func signInSign(ctx context.Context, client *graph.Client, id string, now time.Time) (Sign, []SeenSignIn) {
	filter := fmt.Sprintf("userId eq '%s' and createdDateTime ge %s and signInEventTypes/any(t:t eq 'interactiveUser' or t eq 'nonInteractiveUser')", strings.ReplaceAll(id, "'", "''"), now.UTC().Add(-logWindow).Format(time.RFC3339))
	var page struct {
		Value []logLine `json:"value"`
	}
	if err := client.Get(ctx, "/beta/auditLogs/signIns?$top=50&$filter="+graph.QueryValue(filter), &page); err != nil {
		return Sign{Name: "sign-ins", Says: saysUnknown, Words: "its sign-ins were not read: " + err.Error()}, nil
	}
	entries, people := []SeenSignIn{}, 0
	for _, l := range page.Value[:min(len(page.Value), 50)] {
		entries = append(entries, SeenSignIn{l.CreatedDateTime.UTC(), l.AppDisplayName, l.IPAddress, l.person(), l.Status.ErrorCode})
		if l.person() && l.Status.ErrorCode == 0 {
			people++
		}
	}
	return sign("sign-ins", people > 0, 3, fmt.Sprintf("somebody signed in with it by hand %d times in 7 days", people), "nobody signed in with it by hand in 7 days"), entries
}
