package notify

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

type noticeRow struct {
	bun.BaseModel `bun:"table:notices,alias:n"`

	ID         string `bun:"id,pk"`
	Kind       string
	Key        string
	TenantID   string `bun:",nullzero"`
	TenantName string `bun:"tenant_name,scanonly"`
	Title      string
	Text       string
	Path       string
	Data       string
	At         time.Time
	CreatedAt  time.Time
}

type deliveryRow struct {
	bun.BaseModel `bun:"table:notice_deliveries,alias:d"`

	ID         string `bun:"id,pk"`
	NoticeID   string
	Channel    string
	OperatorID string
	WebhookID  string
	Name       string
	Address    string
	State      string
	Reason     string
	Round      int64
	Tries      int64
	DueAt      *time.Time
	CreatedAt  time.Time
	EndedAt    *time.Time
}

type attemptRow struct {
	bun.BaseModel `bun:"table:notice_attempts,alias:a"`

	ID         string `bun:"id,pk"`
	DeliveryID string
	BegunAt    time.Time
	TookMS     int64 `bun:"took_ms"`
	Outcome    string
	Status     int64
	Reason     string
	Answer     string
}

type linkRow struct {
	bun.BaseModel `bun:"table:notice_links"`

	DeliveryID string `bun:"delivery_id,pk"`
	Link       []byte
	Until      time.Time
}

type subscriptionRow struct {
	bun.BaseModel `bun:"table:notice_subscriptions"`

	OperatorID string `bun:"operator_id,pk"`
	Kinds      string
	Tenants    string
	ChangedAt  time.Time
}

type webhookRow struct {
	bun.BaseModel `bun:"table:webhooks,alias:w"`

	ID           string `bun:"id,pk"`
	TenantID     string `bun:",nullzero"`
	TenantName   string `bun:"tenant_name,scanonly"`
	Name         string
	URL          []byte `bun:"url"`
	Host         string
	Secret       []byte
	OldSecret    []byte
	OldUntil     *time.Time
	Kinds        string
	Tenants      string
	Enabled      bool
	DisabledWhy  string
	FailingSince *time.Time
	DeliveredAt  *time.Time
	OwnerID      string
	CreatedAt    time.Time
	Version      int64
}

// encode writes a document. The types that are stored always encode.
func encode(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// texts reads a list that is stored as JSON.
func texts(document string) ([]string, error) {
	out := []string{}
	if err := json.Unmarshal([]byte(document), &out); err != nil {
		return nil, fmt.Errorf("reading a list of notices: %w", err)
	}
	return out, nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	moment := t.UTC()
	return &moment
}
