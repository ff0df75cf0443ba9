package campaign

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// exported is a person in an export. There is no link and no secret in it.
type exported struct {
	Tenant       string     `json:"tenant"`
	TenantID     string     `json:"tenant_id"`
	Username     string     `json:"username"`
	ObjectID     string     `json:"object_id"`
	Name         string     `json:"name"`
	ConnectionID string     `json:"connection_id"`
	ClientID     string     `json:"client_id"`
	State        string     `json:"state"`
	Reason       string     `json:"reason"`
	ChangedAt    time.Time  `json:"changed_at"`
	RemindedAt   *time.Time `json:"reminded_at"`
	Reminders    int        `json:"reminders"`
}

var exportedColumns = []string{"tenant", "tenant_id", "username", "object_id", "name", "connection_id", "client_id", "state", "reason", "changed_at", "reminded_at", "reminders"}

func (e exported) cells() []string {
	reminded := ""
	if e.RemindedAt != nil {
		reminded = e.RemindedAt.Format(time.RFC3339)
	}
	cells := []string{e.Tenant, e.TenantID, e.Username, e.ObjectID, e.Name, e.ConnectionID, e.ClientID, e.State, e.Reason, e.ChangedAt.Format(time.RFC3339), reminded, strconv.Itoa(e.Reminders)}
	for i := range cells {
		cells[i] = guard(cells[i])
	}
	return cells
}

// exportAtOnce is how many people are read at once.
const exportAtOnce = 1000

// Export writes the people of a campaign that a filter lets through and the actor may
// see, as csv or json.
func (s *Service) Export(ctx context.Context, id string, f PersonFilter, format string, w io.Writer) error {
	if _, err := s.Get(ctx, id); err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	write := s.exportCSV
	if format == "json" {
		write = s.exportJSON
	}
	if err := write(ctx, id, f, out); err != nil {
		return fmt.Errorf("exporting a campaign: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("exporting a campaign: %w", err)
	}
	return nil
}

func (s *Service) each(ctx context.Context, id string, f PersonFilter, do func(exported) error) error {
	for after := ""; ; {
		rows, next, err := s.people(ctx, id, f, after, exportAtOnce)
		if err != nil {
			return err
		}
		for i := range rows {
			p := rows[i].person()
			err := do(exported{
				Tenant: p.TenantName, TenantID: p.TenantID, Username: p.Username, ObjectID: p.ObjectID, Name: p.Name, ConnectionID: p.ConnectionID, ClientID: p.ClientID,
				State: string(p.State), Reason: p.Reason, ChangedAt: p.ChangedAt, RemindedAt: p.RemindedAt, Reminders: p.Reminders,
			})
			if err != nil {
				return err
			}
		}
		if after = next; after == "" {
			return nil
		}
	}
}

func (s *Service) exportCSV(ctx context.Context, id string, f PersonFilter, w io.Writer) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil { // spreadsheets take it for UTF-8 only then
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(exportedColumns); err != nil {
		return err
	}
	if err := s.each(ctx, id, f, func(e exported) error { return out.Write(e.cells()) }); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func (s *Service) exportJSON(ctx context.Context, id string, f PersonFilter, w io.Writer) error {
	lead := "[\n"
	err := s.each(ctx, id, f, func(e exported) error {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		_, err = w.Write(append([]byte(lead), data...))
		lead = ",\n"
		return err
	})
	if err != nil {
		return err
	}
	if lead == "[\n" {
		_, err = io.WriteString(w, "[]\n")
		return err
	}
	_, err = io.WriteString(w, "\n]\n")
	return err
}
