package notify

import (
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jobs"
	"gatehouse/internal/live"
	"gatehouse/internal/operator"
	"gatehouse/internal/secrets"
	"gatehouse/internal/sqldb"
)

// Event is something to be told.
type Event struct {
	Kind     string // one of [Kinds]
	TenantID string // "" for the whole server
	Key      string // the same kind and key is told once; "" is like no other
	// Thread is the key of the first notice about the same thing. Its other keys
	// begin with it and "/". Who was told of one of them is not told again, and
	// without anybody else to tell nothing is written.
	Thread string
	// Beside is another kind of notices about the same thing: people who were told
	// of it in the thread are not told in other words. Webhooks hear of each kind that
	// they chose, as a program may wait for it.
	Beside      string
	Title, Text string         // plain words, no secrets
	Path        string         // page of the console, "/incidents/…"; "" for none
	At          time.Time      // when it happened; now if zero
	Data        map[string]any // for webhooks; no secrets. [WhoActs] is shown in mails, too
}

// The kinds of notices.
const (
	IncidentOpened  = "incident.opened"
	IncidentEnded   = "incident.ended"
	ExpiryDue       = "expiry.due"
	Parked          = "connection.parked"
	WebhookDisabled = "webhook.disabled"

	CampaignProposed = "campaign.proposed"
	CampaignProgress = "campaign.progress"
	CampaignDone     = "campaign.done"

	SignInNeeded   = "sign_in.needed"
	SignInEnds     = "sign_in.ends"
	ConsentChanged = "consent.changed"

	Test       = "test"       // asked for by a person, to one channel
	Invitation = "invitation" // to a new operator
	Letter     = "letter"     // to somebody who is no operator: see [Service.Write]
)

// once reports whether a kind of notice goes to one person and may carry a link
// that works once.
func once(kind string) bool { return kind == Invitation || kind == Letter }

// Kind is a kind of notices that can be subscribed to.
type Kind struct {
	Name string
	What string // for people
	// Normal: administrators hear of it unless they choose otherwise.
	Normal bool
	needs  audit.Permission // to hear of it
}

// Kinds are all that can be subscribed to.
var Kinds = []Kind{
	{IncidentOpened, "An incident begins", true, audit.IncidentView},
	{IncidentEnded, "An incident ends", true, audit.IncidentView},
	{ExpiryDue, "A credential or key is about to end", true, audit.ConnectionView},
	{Parked, "A connection is parked: its password was refused", false, audit.ConnectionView},
	{CampaignProposed, "An app registration changed, and a campaign is proposed", true, audit.ConnectionView},
	{CampaignProgress, "Half of a campaign's people have signed in, or nine tenths", false, audit.ConnectionView},
	{CampaignDone, "The last one of a campaign has signed in", true, audit.ConnectionView},
	{SignInNeeded, "A connection gives no tokens until somebody signs in or consents, or gives them again", false, audit.ConnectionView},
	{SignInEnds, "A person's sign-in is about to end", true, audit.ConnectionView},
	{ConsentChanged, "A tenant's consent changed by itself", true, audit.ConsentView},
	{WebhookDisabled, "A webhook is switched off, as it failed for days", true, audit.NotifyView},
}

func kindOf(name string) (Kind, bool) {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return Kinds[i], true
}

// Mail is the mail server that notices go through. The administrator of the
// machine chose it, so it may be anywhere.
type Mail struct {
	Server   string // host:port; "" for none
	From     string // address, with or without a name
	Username string // "" to send without signing in
	Password secrets.Value
	TLS      string         // starttls, tls or none
	Roots    *x509.CertPool // nil means the system's
}

// Outside is how webhooks are reached.
type Outside struct {
	Allow    []netip.Prefix // private addresses that may be reached
	Roots    *x509.CertPool // nil means the system's
	Resolver *net.Resolver  // nil means the system's
}

// Config is what the service needs; all but Now and Draw must be given.
type Config struct {
	DB        *sqldb.DB
	Audit     *audit.Log
	Keys      *secrets.Keyring // opened with [Columns]
	Jobs      *jobs.Queue      // not yet started
	Live      *live.Hub
	Operators *operator.Service
	PublicURL string // of the console, without a path
	Mail      Mail
	Outside   Outside
	Now       func() time.Time // time.Now if nil
	// Draw spreads attempts: a number from 0 up to 1; random if nil.
	Draw func() float64
}

// Columns are the columns of this package that hold sealed secrets.
var Columns = []secrets.Column{
	{Table: "notice_links", Key: "delivery_id", Name: "link"},
	{Table: "webhooks", Key: "id", Name: "url"},
	{Table: "webhooks", Key: "id", Name: "secret"},
	{Table: "webhooks", Key: "id", Name: "old_secret"},
}

// The errors that callers tell apart.
var (
	// ErrMissing says that there is no such notice, delivery or webhook.
	ErrMissing = errors.New("there is no such notice, delivery or webhook")
	// ErrNoMail says that no mail can be sent.
	ErrNoMail = errors.New("no mail server is configured: set mail.server and mail.from, or use a webhook")
	// ErrConflict says that somebody else changed the webhook meanwhile.
	ErrConflict = errors.New("the webhook was changed meanwhile: load it again")
	// ErrUnderWay says that a delivery is not over yet.
	ErrUnderWay = errors.New("the delivery is still being tried: wait for its end")
	// ErrOff says that a webhook is sent nothing.
	ErrOff = errors.New("the webhook is switched off: switch it on first")
	// ErrOnce says that a notice cannot be sent again.
	ErrOnce = errors.New("an invitation or a test is sent once: make a new one")
)
